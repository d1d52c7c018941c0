#pragma once

#include <cstdlib>

namespace keepwell::test {

// What must hold whatever the bytes are: libFuzzer keeps the input for which it does not.
inline void require(bool holds)
{
    if (!holds)
        std::abort();
}

}  // namespace keepwell::test
