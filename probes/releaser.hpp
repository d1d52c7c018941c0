#pragma once

namespace keepwell {

// Lets a std::unique_ptr own what a C library wants back by one of its functions:
// std::unique_ptr<SSL, Releaser<SSL_free>>.
template <auto release>
struct Releaser {
    template <class T>
    void operator()(T* pointer) const
    {
        release(pointer);
    }
};

}  // namespace keepwell
