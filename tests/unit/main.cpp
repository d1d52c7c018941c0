// Catch2 3 brings a main() of its own; Catch2 2 (Debian 12) makes it here.
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
