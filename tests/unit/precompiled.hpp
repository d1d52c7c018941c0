#pragma once
#include "probes/precompiled.hpp"
#include "tests/catch.hpp"
