// What does a MySQL check cost with libmariadb and nothing else? Login and ping, blocking, one at a time.
//
//   --address=127.0.0.1 --port=13306 --user=probe --password=probe   --count=1000 attempts to measure
#include "tests/bench/floor.hpp"

#include <mysql.h>

namespace {

bool ping(const std::string& address, unsigned port, const std::string& user, const std::string& password)
{
    const unsigned seconds = 5;
    const my_bool no = 0;
    MYSQL* connection = mysql_init(nullptr);
    mysql_options(connection, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &no);
    mysql_options(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &no);
    const bool good = mysql_real_connect(connection, address.c_str(), user.c_str(), password.c_str(), nullptr,
                                         port, nullptr, 0) &&
                      mysql_ping(connection) == 0;
    if (!good)
        std::fprintf(stderr, "%s\n", mysql_error(connection));
    mysql_close(connection);
    return good;
}

}  // namespace

int main(int argument_count, char** arguments)
{
    bench::Options options{argument_count, arguments};
    const auto address = options.text("address", "127.0.0.1");
    const auto port = static_cast<unsigned>(options.number("port", 13306));
    const auto user = options.text("user", "probe");
    const auto password = options.text("password", "probe");
    bench::Tally tally{static_cast<long>(options.number("count", 1000)), 10};
    options.finish();
    while (tally.may_begin()) {
        tally.begin();
        tally.end(ping(address, port, user, password));
    }
    return tally.report();
}
