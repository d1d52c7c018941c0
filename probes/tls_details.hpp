#pragma once

#include "probes/tls.hpp"

// OpenSSL's types, for tls.cpp and tls_details.cpp alone.
struct ssl_st;
struct stack_st_X509;

namespace keepwell {

// The first moment at which a certificate of the chain expires; the end of time for an empty chain.
std::chrono::sys_seconds first_expiry(const stack_st_X509* chain);

// Of a session after its handshake. `verified`: a chain of ours was built for it, unless it could not be.
TlsDetails details_of(ssl_st* session, bool verified);

}  // namespace keepwell
