"""/probe measured against blackbox_exporter: the same modules and targets through Debian's and through keepwell, and the
same series must come out: names, labels, types and values, but for times and for what docs/blackbox.md lists."""

import contextlib
import functools
import gzip
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import urllib.parse

import pytest
import yaml

import certificates
import keepwell
import servers

# What is a time or hangs on one: must be there on both sides, whatever it says.
TIMES = re.compile(r"probe_(duration_seconds|dns_lookup_time_seconds|\w+_duration_seconds\{.*)$")
# What newer versions than Debian's 0.23 have, and keepwell, too; the first is keepwell's in any case.
NEWER = re.compile(r"probe_(timeout_seconds|tls_cipher_info\{.*|failed_due_to_bytes|expect_info\{.*)$")
WEB = """
server { listen @PORT@;
  location = / { return 200 "welcome to the shop\n"; }
  location = /echo { add_header X-Got "$host $content_type" always; return 200 "$request_method"; }
  location = /down { return 503 "gone\n"; }
  location = /empty { return 204; }
  location = /moved { return 302 /; }
  location = /moved-to-tls { return 301 https://127.0.0.1:@TLS@/; }
  location = /moved-away { return 301 http://localhost:@PORT@/echo; }
  location = /seeing-other { return 303 /echo; }
  location = /temporary { return 307 /echo; }
  location = /loop { return 302 /loop; }
  location = /into-nothing { return 302 http://127.0.0.1:1/; }
  location = /cookie { add_header Set-Cookie "a=b; Path=/"; return 302 /wants-cookie; }
  location = /wants-cookie { if ($http_cookie != "a=b") { return 403; } return 200 "yes"; }
  location = /file { alias @DIR@/file.txt; }
  location = /zipped { gzip on; gzip_min_length 1; types { text/html txt; } alias @DIR@/file.txt; }
  location = /always-zipped { add_header Content-Encoding gzip; alias @DIR@/file.txt.gz; }
  location = /hangs-up { return 444; }
  location = "/a b" { return 200 "a space"; }
  location = /\u00fc { return 200 "an umlaut"; }
  location = "/c|d<e>" { if ($request_uri != "/c%7Cd%3Ce%3E") { return 400; } return 200 "encoded"; }
  location = /to-space { return 302 "/a b"; }
  location = /to-umlaut { return 302 /\u00fc; }
  location = /two { add_header X-Two one; add_header X-Two two; return 200 "x"; }
  location = /private { auth_basic shop; auth_basic_user_file @DIR@/users; alias @DIR@/file.txt; }
  location = /bearer { if ($http_authorization != "Bearer t0ken") { return 401; } return 200 "come in"; } }
"""


def secure_server(port, leaf, more="http2"):
    return (f"server {{ listen {port} ssl {more}; ssl_certificate {leaf.certificate}; ssl_certificate_key {leaf.key};"
            "location / { return 200 \"secret garden\"; } }\n")


def modules(authority, directory, proxy):
    """By name: what example configurations of blackbox_exporter show, as far as it means something on loopback."""
    ca = {"ca_file": authority.certificate}
    http = {
        "http_2xx": {},
        "ip4": {"preferred_ip_protocol": "ip4"},
        "ip6_only": {"preferred_ip_protocol": "ip6", "ip_protocol_fallback": False},
        "example": {"valid_http_versions": ["HTTP/1.1", "HTTP/2.0"], "valid_status_codes": [], "method": "GET",
                    "headers": {"Host": "vhost.example.com", "Accept-Language": "en-US", "Origin": "example.com"},
                    "no_follow_redirects": False, "fail_if_ssl": False, "fail_if_not_ssl": False,
                    "fail_if_body_matches_regexp": ["Could not connect to database"],
                    "fail_if_body_not_matches_regexp": ["welcome to the (shop|zoo)"],
                    "fail_if_header_matches": [{"header": "Set-Cookie", "allow_missing": True, "regexp": ".*"}],
                    "fail_if_header_not_matches": [{"header": "content-type", "regexp": "text/(plain|html)|octet"}],
                    "tls_config": {"insecure_skip_verify": False}, "preferred_ip_protocol": "ip4", "ip_protocol_fallback": False},
        "post": {"method": "POST"},
        "post_json": {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": "{}"},
        "head": {"method": "HEAD"},
        "status_503": {"valid_status_codes": [503, 200]},
        "no_redirects": {"follow_redirects": False},
        "no_redirects_302": {"no_follow_redirects": True, "valid_status_codes": [302]},
        "http2_only": {"valid_http_versions": ["HTTP/2.0"], "tls_config": ca},
        "http1_by_wish": {"enable_http2": False, "tls_config": ca},
        "basic_auth": {"basic_auth": {"username": "shop", "password": "secret"}},
        "basic_auth_file": {"basic_auth": {"username": "shop", "password_file": f"{directory}/password"}},
        "bearer": {"bearer_token": "t0ken"},
        "authorization": {"authorization": {"type": "Bearer", "credentials": "t0ken"}},
        "custom_ca": {"tls_config": ca},
        "insecure": {"tls_config": {"insecure_skip_verify": True}},
        "other_name": {"tls_config": {**ca, "server_name": "other.example"}},
        "tls13_only": {"tls_config": {**ca, "min_version": "TLS13"}},
        "proxy": {"proxy_url": f"http://127.0.0.1:{proxy}"},
        "proxy_by_name": {"proxy_url": f"http://localhost:{proxy}", "skip_resolve_phase_with_proxy": True},
        "fail_if_ssl": {"fail_if_ssl": True, "tls_config": ca},
        "fail_if_not_ssl": {"fail_if_not_ssl": True, "tls_config": ca},
        "gzip": {"compression": "gzip"},
        "gzip_with_header": {"compression": "gzip", "headers": {"Accept-Encoding": "gzip"}},
        "gzip_rules": {"compression": "gzip", "headers": {"Accept-Encoding": "gzip"}, "fail_if_body_not_matches_regexp": ["line 7"]},
        "small": {"body_size_limit": "10B"},
        "small_rules": {"body_size_limit": "10B", "fail_if_body_matches_regexp": ["never there"]},
        "body_must_match": {"fail_if_body_not_matches_regexp": ["shop", "zoo"]},
        "body_must_not_match": {"fail_if_body_matches_regexp": ["zoo", "shop$"]},
        "header_must_match": {"fail_if_header_not_matches": [{"header": "X-Two", "regexp": "^two$"}]},
        "header_must_not_match": {"fail_if_header_matches": [{"header": "X-Two", "regexp": "^two$"}]},
        "quick": {},
    }
    smtp = [{"expect": "^220 ([^ ]+) ESMTP (.+)$"}, {"send": "EHLO prober\r"}, {"expect": "^250-STARTTLS"},
            {"send": "STARTTLS\r"}, {"expect": "^220"}, {"starttls": True}, {"send": "EHLO prober\r"}, {"expect": "^250-AUTH"},
            {"send": "QUIT\r"}]
    imap = [{"expect": "OK.*STARTTLS"}, {"send": ". STARTTLS"}, {"expect": "OK"}, {"starttls": True}, {"send": ". capability"},
            {"expect": "CAPABILITY IMAP4rev1"}]
    tcp = {
        "tcp_connect": {},
        "tcp_from": {"source_ip_address": "127.0.0.9", "query_response": [{"expect": "^127.0.0.9$"}]},
        "tls_connect": {"tls": True, "tls_config": ca},
        "tls_strict": {"tls": True},
        "tls_insecure": {"tls": True, "tls_config": {"insecure_skip_verify": True}},
        "ssh_banner": {"query_response": [{"expect": "^SSH-2.0-"}, {"send": "SSH-2.0-blackbox-ssh-check"}]},
        "pop3s_banner": {"query_response": [{"expect": "^+OK".replace("+", "[+]")}], "tls": True, "tls_config": ca},
        "irc_banner": {"query_response": [{"send": "NICK prober"}, {"send": "USER prober prober prober :prober"},
                                          {"expect": "PING :([^ ]+)", "send": "PONG ${1}"}, {"expect": "^:[^ ]+ 001"}]},
        "smtp_starttls": {"query_response": smtp, "tls_config": ca},
        "smtp_strict": {"query_response": smtp},
        "imap_starttls": {"query_response": imap, "tls_config": ca},
    }
    rules = {"fail_if_matches_regexp": ["192.0.2.9"], "fail_if_not_matches_regexp": ["IN\tA\t192"]}
    dns = {
        "dns_a": {"query_name": "www.example.org", "query_type": "A", "valid_rcodes": ["NOERROR"], "validate_answer_rrs": rules},
        "dns_exact": {"query_name": "www.example.org", "query_type": "A", "validate_answer_rrs": {
            "fail_if_not_matches_regexp": ["^www.example.org.\t300\tIN\tA\t192.0.2.1$"]}},
        "dns_matches": {"query_name": "www.example.org", "query_type": "A",
                        "validate_answer_rrs": {"fail_if_matches_regexp": [".*192.0.2.1"]}},
        "dns_all_match": {"query_name": "www.example.org", "query_type": "A",
                          "validate_answer_rrs": {"fail_if_all_match_regexp": [".*192.0.2.1"]}},
        "dns_not_all": {"query_name": "www.example.org", "query_type": "A",
                        "validate_answer_rrs": {"fail_if_all_match_regexp": [".*192.0.2.7"]}},
        "dns_none": {"query_name": "www.example.org", "query_type": "A",
                     "validate_answer_rrs": {"fail_if_none_matches_regexp": ["192.0.2.7", "192.0.2.1"]}},
        "dns_missing_rules": {"query_name": "www.example.org", "query_type": "A",
                              "validate_additional_rrs": {"fail_if_not_matches_regexp": ["x"]}},
        "dns_nxdomain": {"query_name": "nothing.example.org", "query_type": "A"},
        "dns_nxdomain_valid": {"query_name": "nothing.example.org", "query_type": "A", "valid_rcodes": ["NXDOMAIN", "REFUSED"]},
        "dns_any": {"query_name": "www.example.org"},
        "dns_txt": {"query_name": "txt.example.org", "query_type": "TXT",
                    "validate_answer_rrs": {"fail_if_not_matches_regexp": ["TXT\t\"say \\\\\"hello\\\\\"\" \"two\"$"]}},
        "dns_mx": {"query_name": "example.org", "query_type": "MX",
                   "validate_answer_rrs": {"fail_if_not_matches_regexp": ["MX\t10 mail.example.org.$"]}},
        "dns_srv": {"query_name": "_sip._tcp.example.org", "query_type": "SRV",
                    "validate_answer_rrs": {"fail_if_not_matches_regexp": ["SRV\t3 4 5060 sip.example.org.$"]}},
        "dns_cname": {"query_name": "alias.example.org", "query_type": "CNAME", "preferred_ip_protocol": "ip4"},
        "dns_soa": {"query_name": "zone.example", "query_type": "SOA"},
        "dns_soa_none": {"query_name": "www.example.org", "query_type": "SOA"},
        "dns_tcp": {"query_name": "www.example.org", "query_type": "A", "transport_protocol": "tcp",
                    "source_ip_address": "127.0.0.1"},
        "dns_tls": {"query_name": "www.example.org", "query_type": "A", "transport_protocol": "tcp", "dns_over_tls": True,
                    "tls_config": ca},
        "dns_not_recursive": {"query_name": "www.example.org", "query_type": "A", "recursion_desired": False},
    }
    icmp = {"icmp": {}, "icmp_ip4": {"preferred_ip_protocol": "ip4", "source_ip_address": "127.0.0.1"},
            "icmp_ttl5": {"ttl": 5}, "icmp_large": {"payload_size": 1000}, "icmp_small": {"payload_size": 1},
            "icmp_whole": {"dont_fragment": True}}
    grpc = {"grpc_plain": {"preferred_ip_protocol": "ip4"}, "grpc_service": {"service": "service1"},
            "grpc_tls": {"tls": True, "tls_config": ca}}
    known = {}
    for prober, all_settings in {"http": http, "tcp": tcp, "dns": dns, "icmp": icmp, "grpc": grpc}.items():
        for name, settings in all_settings.items():
            known[name] = {"prober": prober, "timeout": "5s", prober: settings}
    known["quick"]["timeout"] = "300ms"
    for name in ("ssh_banner", "tls_connect", "imap_starttls", "dns_a", "dns_tcp", "dns_tls"):
        known["quick_" + name] = {**known[name], "timeout": "300ms"}
    return known


# Module and target; {web}, {tls} ... are ports.
HTTP = [
    *[(module, "http://127.0.0.1:{web}/") for module in
      ("http_2xx", "ip4", "ip6_only", "example", "post", "head", "status_503", "basic_auth", "fail_if_ssl", "fail_if_not_ssl",
       "gzip", "gzip_with_header", "small", "small_rules", "body_must_match", "body_must_not_match", "header_must_match")],
    ("http_2xx", "127.0.0.1:{web}/"),
    ("http_2xx", "http://localhost:{web}/"),
    ("http_2xx", "http://[::ffff:127.0.0.1]:{web}/"),
    *[(module, "http://127.0.0.1:{web}/" + path) for module in ("http_2xx", "ip4") for path in ("a b", "\u00fc", "to-space", "to-umlaut")],
    ("http_2xx", "127.0.0.1:{web}/\u00fc?a=\u00fc|b"),
    ("http_2xx", "http://127.0.0.1:{web}/c|d<e>"),
    ("ip6_only", "http://localhost:{web}/"),
    ("http_2xx", "http://shop:secret@127.0.0.1:{web}/private"),
    *[("http_2xx", "http://127.0.0.1:{web}/" + path) for path in
      ("down", "empty", "missing", "moved", "moved-away", "seeing-other", "temporary", "loop", "into-nothing", "cookie", "file",
       "zipped", "always-zipped", "hangs-up", "private", "bearer")],
    *[(module, "http://127.0.0.1:{web}/moved") for module in ("no_redirects", "no_redirects_302", "post", "head", "example")],
    ("post_json", "http://127.0.0.1:{web}/echo"),
    ("post_json", "http://127.0.0.1:{web}/temporary"),
    ("post_json", "http://127.0.0.1:{web}/seeing-other"),
    ("post", "http://127.0.0.1:{web}/seeing-other"),
    ("status_503", "http://127.0.0.1:{web}/down"),
    ("example", "http://127.0.0.1:{web}/echo"),
    ("head", "http://127.0.0.1:{web}/file"),
    ("basic_auth", "http://127.0.0.1:{web}/private"),
    ("basic_auth_file", "http://127.0.0.1:{web}/private"),
    ("bearer", "http://127.0.0.1:{web}/bearer"),
    ("authorization", "http://127.0.0.1:{web}/bearer"),
    *[(module, "http://127.0.0.1:{web}/" + path) for module in ("gzip", "gzip_with_header", "gzip_rules")
      for path in ("zipped", "always-zipped", "echo")],
    ("small", "http://127.0.0.1:{web}/file"),
    ("small_rules", "http://127.0.0.1:{web}/file"),
    ("header_must_match", "http://127.0.0.1:{web}/two"),
    ("header_must_not_match", "http://127.0.0.1:{web}/two"),
    ("header_must_not_match", "http://127.0.0.1:{web}/"),
    *[(module, "https://127.0.0.1:{tls}/") for module in
      ("http_2xx", "custom_ca", "insecure", "tls13_only", "other_name", "fail_if_ssl", "fail_if_not_ssl", "http2_only", "http1_by_wish")],
    ("custom_ca", "http://127.0.0.1:{web}/moved-to-tls"),
    ("http_2xx", "http://127.0.0.1:{web}/moved-to-tls"),
    *[(module, "https://localhost:{tls}/") for module in ("custom_ca", "other_name")],
    *[("custom_ca", f"https://127.0.0.1:{{{port}}}/") for port in ("expired", "misnamed", "web")],
    ("insecure", "https://127.0.0.1:{expired}/"),
    ("other_name", "https://127.0.0.1:{misnamed}/"),
    ("http2_only", "https://127.0.0.1:{expired}/"),
    *[(module, target) for module in ("proxy", "proxy_by_name")
      for target in ("http://127.0.0.1:{web}/file", "http://localhost:{web}/down", "https://127.0.0.1:{tls}/", "http://127.0.0.1:1/")],
    ("proxy_by_name", "http://nowhere.invalid/"),
    ("http_2xx", "http://127.0.0.1:1/"),
    ("http_2xx", "http://nowhere.invalid/"),
    ("quick", "http://127.0.0.1:{silent}/"),
    ("quick", "http://127.0.0.1:{half}/"),
    ("http_2xx", "http://127.0.0.1:{garbage}/"),
    ("http_2xx", "http://127.0.0.1:{cut}/"),
    ("body_must_match", "http://127.0.0.1:{cut}/"),
]

TCP = [
    *[("tcp_connect", target) for target in ("127.0.0.1:{silent}", "localhost:{silent}", "127.0.0.1:1", "nowhere.invalid:1",
                                             "127.0.0.1", "[::1]:1")],
    ("tcp_connect", "[::ffff:127.0.0.1]:{silent}"),
    ("tcp_from", "127.0.0.1:{whose}"),
    *[(module, "127.0.0.1:{" + port + "}") for module in ("tls_connect", "tls_strict", "tls_insecure")
      for port in ("tls", "expired", "misnamed", "web", "cut")],
    ("tls_connect", "localhost:{tls}"),
    ("quick_tls_connect", "127.0.0.1:{silent}"),
    *[("ssh_banner", "127.0.0.1:{" + port + "}") for port in ("ssh", "hangs_up", "unended")],
    *[("quick_ssh_banner", "127.0.0.1:{" + port + "}") for port in ("silent", "greets")],
    *[("pop3s_banner", "127.0.0.1:{" + port + "}") for port in ("pop3s", "ssh")],
    *[("irc_banner", "127.0.0.1:{" + port + "}") for port in ("irc", "hangs_up")],
    *[(module, "127.0.0.1:{smtp}") for module in ("smtp_starttls", "smtp_strict")],
    ("imap_starttls", "127.0.0.1:{imap}"),
    ("quick_imap_starttls", "127.0.0.1:{greets}"),
]
DNS = [
    *[(f"dns_{kind}", "127.0.0.1:{dns}") for kind in
      ("a", "exact", "matches", "all_match", "not_all", "none", "missing_rules", "nxdomain", "nxdomain_valid", "any", "txt", "mx", "srv",
       "cname", "soa_none", "tcp", "not_recursive")],
    ("dns_a", "localhost:{dns}"),
    ("dns_soa", "127.0.0.1:{zone}"),
    ("dns_tls", "127.0.0.1:{dns_tls}"),
    ("quick_dns_tls", "127.0.0.1:{dns}"),
    *[(module, "127.0.0.1:1") for module in ("dns_a", "dns_tcp")],
    ("quick_dns_a", "127.0.0.1:{silent_udp}"),
    ("quick_dns_tcp", "127.0.0.1:{silent}"),
    ("dns_a", "nowhere.invalid"),
    ("quick_dns_tcp", "127.0.0.1:{greets}"),
]
ICMP = [(module, target) for module in ("icmp", "icmp_ip4", "icmp_ttl5", "icmp_large", "icmp_small", "icmp_whole")
        for target in ("127.0.0.1", "localhost")] + [("icmp", "nowhere.invalid")]
GRPC = [
    *[(module, "127.0.0.1:{" + port + "}") for module in ("grpc_plain", "grpc_service")
      for port in ("serving", "not_serving", "unimplemented", "web", "cut")],
    ("grpc_plain", "127.0.0.1:1"),
    ("grpc_plain", "nowhere.invalid:1"),
    ("grpc_tls", "127.0.0.1:{serving_tls}"),
    ("grpc_tls", "localhost:{serving_tls}"),
    ("grpc_tls", "127.0.0.1:{expired}"),
    ("grpc_tls", "127.0.0.1:{serving}"),
]


@contextlib.contextmanager
def peer(talk):
    """A peer by script on a port of its own; `talk` is given each connection, and a way to read lines from it."""
    listener = socket.create_server((servers.HOST, servers.free_port()))
    open_connections = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                open_connections.append(connection)
                threading.Thread(target=guarded, args=(connection,), daemon=True).start()

    def guarded(connection):
        with contextlib.suppress(OSError, ValueError):
            if talk(connection, connection.makefile("rb")) is not False:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        for connection in open_connections:
            connection.close()


def silent(_connection, _lines):
    return False


def whose(connection, _lines):
    connection.sendall(connection.getpeername()[0].encode() + b"\n")


def says_first(text):
    def talk(connection, lines):
        connection.sendall(text)
        lines.readline()

    return talk


def hangs_up(connection, _lines):
    connection.sendall(b"")


def unended(connection, _lines):
    connection.sendall(b"welcome\nSSH-2.0-unended")


def irc(connection, lines):
    assert lines.readline() == b"NICK prober\n" and lines.readline().startswith(b"USER")
    connection.sendall(b":irc.example NOTICE * :looking you up\r\nPING :4711\r\n")
    assert lines.readline() == b"PONG 4711\n"
    connection.sendall(b":irc.example 001 prober :welcome\r\n")


def with_starttls(context, greeting, rounds):
    """Greets, answers each line as the first rounds say, then goes on under TLS with the others."""
    def talk(connection, lines):
        connection.sendall(greeting)
        for answer in rounds[0]:
            lines.readline()
            connection.sendall(answer)
        with context.wrap_socket(connection, server_side=True) as secure:
            reader = secure.makefile("rb")
            for answer in rounds[1]:
                reader.readline()
                secure.sendall(answer)
            reader.readline()

    return talk


def under_tls(context, text):
    def talk(connection, _lines):
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.sendall(text)
            secure.makefile("rb").readline()

    return talk


def dns_under_tls(context, port):
    """Passes one query on to a server without TLS."""
    def talk(connection, _lines):
        with context.wrap_socket(connection, server_side=True) as secure, socket.create_connection((servers.HOST, port)) as plain:
            plain.sendall(secure.recv(4096))
            answers = plain.makefile("rb")
            head = answers.read(2)
            secure.sendall(head + answers.read(int.from_bytes(head, "big")))

    return talk


def dnsmasq(stack, *options):
    port = servers.free_port()
    argv = [servers.need("dnsmasq", "dnsmasq-base"), "--keep-in-foreground", "--conf-file=/dev/null", f"--port={port}", "--no-hosts",
            "--no-resolv", "--bind-interfaces", "--listen-address=127.0.0.1", "--pid-file=", "--user=", "--group=", *options]
    stack.enter_context(servers.program(argv, port=port, name="dnsmasq"))
    return port


def grpc_server(port, *, status=None, answer=None, tls=None):
    """nginx plays a gRPC server: a file with a framed message, and the status in a trailer (or, alone, in a header)."""
    secure = f"ssl; ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key}" if tls else ""
    if answer is None:
        return (f"server {{ listen {port} http2 {secure}; location / {{ default_type application/grpc; "
                f"add_header grpc-status {status}; return 200; }} }}\n")
    return (f"server {{ listen {port} http2 {secure}; default_type application/grpc; add_trailer grpc-status 0; "
            f"location / {{ error_page 405 =200 /{answer}; root @DIR@; }} location = /{answer} {{ root @DIR@; }} }}\n")


def says(text, stays=False):
    def talk(connection, lines):
        lines.readline()
        connection.sendall(text)
        return not stays

    return talk


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhalf"


def parsed(text):
    """{series: value}, {family: type}"""
    values, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        elif line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            values[normal(name)] = float(value)
    return values, types


def normal(series):
    """Labels in order, and without what only newer versions than Debian's have."""
    name, _, labels = series.partition("{")
    found = sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
    kept = [f'{key}="{value}"' for key, value in found if key != "serialnumber"]
    return name + ("{" + ",".join(kept) + "}" if kept else "")


class Pair:
    """blackbox_exporter and keepwell with one configuration."""

    def __init__(self, reference, daemon, ports):
        self.reference, self.daemon, self.ports = reference, daemon, ports

    def ask(self, server, module, target, **more):
        target = target.format(**self.ports)
        return servers.get(f"{server.url}/probe?" + urllib.parse.urlencode({"module": module, "target": target, **more}))

    def compare(self, module, target, allowed=(), **more):
        """The values of keepwell; an AssertionError with all that differs."""
        expected, expected_types = parsed(self.checked(self.reference, module, target, **more))
        found, types = parsed(self.checked(self.daemon, module, target, **more))
        differences = []
        for series in sorted(expected.keys() | found.keys()):
            if series in found and series not in expected and NEWER.match(series):
                continue
            if any(re.match(pattern, series) for pattern in allowed):
                continue
            if series not in found or series not in expected:
                differences.append(f"only {'blackbox_exporter' if series in expected else 'keepwell'}: {series}")
            elif not TIMES.match(series) and found[series] != expected[series]:
                differences.append(f"{series}: {expected[series]} there, {found[series]} here")
        differences += [f"type of {name}" for name in expected_types if name in types and types[name] != expected_types[name]]
        assert not differences, "\n".join([*differences, "", self.ask(self.daemon, module, target, debug="true")[1],
                                           self.ask(self.reference, module, target, debug="true")[1]])
        return found

    def checked(self, server, module, target, **more):
        status, text, headers = self.ask(server, module, target, **more)
        assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), text
        return text


@contextlib.contextmanager
def reference_server(config):
    port = servers.free_port()
    program = servers.need("prometheus-blackbox-exporter", "prometheus-blackbox-exporter")
    with servers.program([program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"], port=port) as server:
        yield server


@pytest.fixture(name="pair", scope="module")
def pair_of_servers(build, tmp_path_factory):
    directory = tmp_path_factory.mktemp("blackbox")
    authority = certificates.Authority(directory)
    names = ("localhost", "127.0.0.1")
    leaves = {"tls": authority.issue(*names), "expired": authority.issue(*names, days=-1),
              "misnamed": authority.issue("other.example")}
    ports = {name: servers.free_port() for name in leaves}
    for name in ("proxy", "serving", "not_serving", "unimplemented", "serving_tls"):
        ports[name] = servers.free_port()
    (directory / "password").write_text("secret\n")
    config = directory / "blackbox.yml"
    config.write_text(yaml.safe_dump({"modules": modules(authority, directory, ports["proxy"])}))
    body = WEB.replace("@TLS@", str(ports["tls"]))
    body += f"server {{ listen {ports['proxy']}; location / {{ proxy_pass http://$http_host; }} }}\n"
    for name, leaf in leaves.items():
        body += secure_server(ports[name], leaf, "" if name == "expired" else "http2")
    body += grpc_server(ports["serving"], answer="serving") + grpc_server(ports["not_serving"], answer="not_serving")
    body += grpc_server(ports["unimplemented"], status=12)
    body += grpc_server(ports["serving_tls"], answer="serving", tls=leaves["tls"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(leaves["tls"].certificate, leaves["tls"].key)
    with contextlib.ExitStack() as stack:
        web = stack.enter_context(servers.nginx(body))
        text = "".join(f"line {i}\n" for i in range(200))
        for name, content in {"file.txt": text.encode(), "file.txt.gz": gzip.compress(text.encode()),
                              "users": b"shop:{PLAIN}secret\n", "serving": b"\0\0\0\0\2\x08\1", "not_serving": b"\0\0\0\0\2\x08\2"}.items():
            with open(f"{web.directory}/{name}", "wb") as file:
                file.write(content)
        ports["web"] = web.port
        ports["dns"] = dnsmasq(stack, "--host-record=www.example.org,192.0.2.1,300", "--txt-record=txt.example.org,say \"hello\",two",
                               "--mx-host=example.org,mail.example.org,10", "--local=/example.org/",
                               "--srv-host=_sip._tcp.example.org,sip.example.org,5060,3,4", "--cname=alias.example.org,www.example.org")
        ports["zone"] = dnsmasq(stack, "--auth-server=ns.zone.example,lo", "--auth-zone=zone.example", "--auth-soa=20260101",
                                "--host-record=www.zone.example,192.0.2.1")
        smtp = ((b"250-mail.example\r\n250-STARTTLS\r\n250 HELP\r\n", b"220 go ahead\r\n"), (b"250-mail.example\r\n250-AUTH PLAIN\r\n",))
        imap = ((b". OK begin\r\n",), (b"* CAPABILITY IMAP4rev1\r\n",))
        talks = {"silent": silent, "half": says(HALF, stays=True), "cut": says(HALF), "garbage": says(b"220 this is no HTTP\r\n"),
                 "whose": whose, "ssh": says_first(b"SSH-2.0-OpenSSH_9.2\r\n"), "greets": says_first(b"hello\r\nwho is it?\r\n"),
                 "hangs_up": hangs_up, "unended": unended, "irc": irc, "pop3s": under_tls(context, b"+OK ready\r\n"),
                 "smtp": with_starttls(context, b"220 mail.example ESMTP ready\r\n", smtp),
                 "imap": with_starttls(context, b"* OK [CAPABILITY STARTTLS] ready\r\n", imap),
                 "dns_tls": dns_under_tls(context, ports["dns"])}
        for name, talk in talks.items():
            ports[name] = stack.enter_context(peer(talk))
        silent_udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        silent_udp.bind((servers.HOST, 0))
        ports["silent_udp"] = silent_udp.getsockname()[1]
        reference = stack.enter_context(reference_server(config))
        daemon = stack.enter_context(keepwell.running(build, {"project": "x"}, f"--blackbox.config.file={config}"))
        daemon.modules_file = config
        yield Pair(reference, daemon, ports)


@pytest.mark.parametrize("module, target", [*HTTP, *TCP, *DNS, *ICMP, *GRPC])
def test_both_give_the_same_answer(pair, module, target):
    pair.compare(module, target)


# What the comparison cannot show.

def test_the_exact_series_of_a_probe_that_fails_before_it_begins(pair):
    found = pair.compare("http_2xx", "http://nowhere.invalid/")
    assert found["probe_success"] == 0 and [name for name in found if name.startswith("probe_http_duration")] == [
        'probe_http_duration_seconds{phase="resolve"}']


def test_labels_that_newer_versions_have(pair):
    text = pair.checked(pair.daemon, "custom_ca", "https://127.0.0.1:{tls}/")
    assert re.search(r'^probe_tls_cipher_info\{cipher="TLS_\w+"\} 1$', text, re.MULTILINE), text
    assert re.search(r'^probe_ssl_last_chain_info\{.*serialnumber="[0-9A-F]+".*\} 1$', text, re.MULTILINE), text


def test_what_is_asked_wrongly(pair):
    ask = functools.partial(servers.get, headers={})
    for query, status, words in [
            ("module=http_2xx", 400, "target"), ("target=a&module=nothing", 400, 'unknown module "nothing"'),
            ("target=" + "a" * 5000, 400, "too long"), ("target=a&hostname=a%0d%0aX:b", 400, "hostname"),
            ("target=a&module=example&hostname=other", 400, "Host header")]:
        code, text, _ = ask(f"{pair.daemon.url}/probe?{query}")
        assert (code, words in text) == (status, True), (query, text)
    code, text, _ = ask(f"{pair.daemon.url}/probe?target=a", headers={"X-Prometheus-Scrape-Timeout-Seconds": "soon"})
    assert code == 500 and "Timeout" in text
    assert pair.daemon.metric("blackbox_module_unknown_total") >= 1


def test_without_the_flag_there_is_no_probe(build):
    with keepwell.running(build, {"project": "x"}) as daemon:
        for path in ("/probe?target=127.0.0.1:1", "/logs"):
            code, text = daemon.get(path)
            assert code == 404 and "--blackbox.config.file" in text
        assert "blackbox_exporter" not in daemon.get("/metrics")[1]


@pytest.mark.parametrize("scrape, module, limit", [("1.5", "http_2xx", 1.0), ("10", "quick", 0.3), ("0.6", "quick", 0.1)])
def test_who_decides_how_long_it_may_take(pair, scrape, module, limit):
    target = urllib.parse.quote(f"http://127.0.0.1:{pair.ports['silent']}/")
    for server in (pair.reference, pair.daemon):
        code, text, _ = servers.get(f"{server.url}/probe?module={module}&target={target}",
                                    headers={"X-Prometheus-Scrape-Timeout-Seconds": scrape})
        found, _ = parsed(text)
        assert code == 200 and found["probe_success"] == 0 and limit * 0.95 <= found["probe_duration_seconds"] < limit + 0.4
        assert found.get("probe_timeout_seconds", limit) == pytest.approx(limit, abs=0.01)


def test_the_hostname_becomes_host_header_and_server_name(pair):
    found = pair.compare("custom_ca", "https://127.0.0.1:{misnamed}/", hostname="other.example")
    assert found["probe_success"] == 1
    page = pair.checked(pair.daemon, "tls_connect", "127.0.0.1:{misnamed}", hostname="other.example")  # in newer ones
    assert "\nprobe_success 1\n" in page


def test_the_log_says_what_happened_and_keeps_secrets(pair):
    page = pair.ask(pair.daemon, "basic_auth", "http://127.0.0.1:{web}/private", debug="true")[1]
    assert "msg=answered status=200" in page and "probe_success 1" in page and "username: shop" in page, page
    target = "http://shop:secret@127.0.0.1:{web}/private"
    page = pair.ask(pair.daemon, "http_2xx", target, debug="true")[1] + pair.daemon.get("/logs")[1]
    assert "probe_success 1" in page and "shop:secret" not in page, page
    for module, target in (("basic_auth", "/private"), ("bearer", "/bearer"), ("authorization", "/bearer")):
        url = f"http://127.0.0.1:{pair.ports['web']}{target}"
        assert pair.compare(module, url)["probe_success"] == 1
        for path in ("/probe?debug=true&", "/logs?"):
            page = pair.daemon.get(path + urllib.parse.urlencode({"module": module, "target": url}))[1]
            assert url in page and "secret>" in page and "t0ken" not in page and "password: secret" not in page, page


def test_what_a_target_hides_is_shown_nowhere_and_targets_are_told_apart(pair):
    web = f"127.0.0.1:{pair.ports['web']}"
    targets = [f"http://{web}/?token=abcd{i}&verbose" for i in range(2)]
    shown = [re.search(r' target="([^"]*)"', pair.ask(pair.daemon, "http_2xx", target, debug="true")[1])[1] for target in targets]
    assert shown[0].startswith(f"http://{web}/?token=***&*** [") and shown[0] != shown[1]
    for module, target in (("icmp", f"{web}/?token=abcd"), ("tcp_connect", f"{web}/?token=abcd:80"), ("dns_a", "x?token=abcd"),
                           ("grpc_plain", f"{web}?token=abcd"), ("http_2xx", f"http://me:abcd@{web}/#abcd")):
        assert "abcd" not in pair.ask(pair.daemon, module, target, debug="true")[1]
    assert "xn--" in pair.ask(pair.daemon, "http_2xx", "http://b\u00fccher.invalid/", debug="true")[1]
    pair.ask(pair.daemon, "http_2xx", "x\n    999  success  http_2xx              https://bank.example")
    page = pair.daemon.get("/logs")[1]
    assert "abcd" not in page and not re.search("^ *999 ", page, re.MULTILINE)
    assert all(page.count(each) == 1 for each in shown)
    assert "abcd" not in pair.daemon.get("/logs?" + urllib.parse.urlencode({"target": targets[0]}))[1]


def test_failures_are_remembered_longer(build, tmp_path):
    config = tmp_path / "blackbox.yml"
    config.write_text("modules: {tcp: {prober: tcp, timeout: 2s}}")
    with keepwell.running(build, {"project": "x"}, f"--blackbox.config.file={config}", "--history.limit=3") as daemon:
        daemon.get("/probe?module=tcp&target=127.0.0.1:1")
        for _ in range(5):
            daemon.get(f"/probe?module=tcp&target=127.0.0.1:{daemon.port}")
        lines = daemon.get("/logs")[1].splitlines()
        assert [line.split()[:2] for line in lines if "127.0.0.1" in line] == [["5", "success"], ["4", "success"], ["3", "success"],
                                                                           ["0", "failure"]]
        assert "connection refused" in daemon.get("/logs?id=0")[1] and "probe_success 1" in daemon.get("/logs?id=5")[1]
        assert "connection refused" in daemon.get("/logs?target=127.0.0.1:1&module=tcp")[1]
        assert [daemon.get(f"/logs?{query}")[0] for query in ("id=1", "id=x", "target=127.0.0.1:1&module=http")] == [404, 400, 404]


def test_attempts_at_a_time_are_bounded(build, tmp_path):
    config = tmp_path / "blackbox.yml"
    config.write_text("modules: {http_2xx: {prober: http}}")
    with peer(silent) as port, keepwell.running(build, {"project": "x"}, f"--blackbox.config.file={config}") as daemon:
        request = (f"GET /probe?target=127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n"
                   "X-Prometheus-Scrape-Timeout-Seconds: 60\r\n\r\n").encode()
        with contextlib.ExitStack() as stack:
            for _ in range(256):
                stack.enter_context(socket.create_connection((servers.HOST, daemon.port))).sendall(request)
            servers.wait_until(lambda: daemon.get(f"/probe?target=127.0.0.1:{daemon.port}")[0] == 503)
            assert daemon.get("/-/healthy")[0] == 200


def test_modules_are_read_again_and_bad_ones_change_nothing(build, tmp_path):
    config = tmp_path / "blackbox.yml"
    good = "modules: {one: {prober: tcp, timeout: 2s}}"

    def put(text):  # in one piece: half a file is a bad one
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").rename(config)

    put(good)
    with keepwell.running(build, {"project": "x"}, f"--blackbox.config.file={config}",
                          "--config.auto-reload-interval=100ms") as daemon:
        def status(module):
            return daemon.get(f"/probe?module={module}&target=127.0.0.1:{daemon.port}")[0]

        assert (status("one"), status("two")) == (200, 400)
        put("modules: {two: {prober: tpc}}")
        servers.wait_until(lambda: daemon.metric("blackbox_exporter_config_last_reload_successful") == 0)
        assert (status("one"), status("two")) == (200, 400) and "expected http, tcp" in daemon.log()
        code, text = daemon.post("/-/reload")
        assert code == 500 and "blackbox.yml:1:25" in text
        put('modules: {two: {prober: http, http: {headers: {Ok: "a\\r\\nb: c"}}}}')
        code, text = daemon.post("/-/reload")
        assert code == 500 and "blackbox.yml:1:38: modules.two.http.headers: the value of Ok has control characters" in text
        put(good.replace("one", "two"))
        assert daemon.post("/-/reload")[0] == 200
        assert (status("one"), status("two")) == (400, 200)
        put(good)
        daemon.send(signal.SIGHUP)
        servers.wait_until(lambda: status("one") == 200)
        assert daemon.metric("blackbox_exporter_config_last_reload_successful") == 1


def test_the_modules_are_checked_with_the_configuration(build, tmp_path):
    (tmp_path / "keepwell.yaml").write_text("project: x")
    config = tmp_path / "blackbox.yml"
    for text, code, words in (("modules: {m: {prober: tcp}}", 0, "fine; 1 module"),
                              ("modules: {m: {prober: tcp, tpc: {}}}", 100, 'unknown key "tpc"; did you mean "tcp"?')):
        config.write_text(text)
        done = subprocess.run([build / "daemon" / "keepwelld", "--config.check", f"--config.file={tmp_path}/keepwell.yaml",
                               f"--blackbox.config.file={config}"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == code and words in done.stdout + done.stderr, done


def test_what_dashboards_and_alerts_name_is_there(pair):
    """Grafana's 7587, the mixin and the usual alerts; the series that need a kind of target, from that kind."""
    wanted = {
        ("custom_ca", "https://127.0.0.1:{tls}/"): [
            "probe_success", "probe_duration_seconds", "probe_http_version", "probe_http_ssl", "probe_http_duration_seconds",
            "probe_tls_version_info", "probe_ssl_earliest_cert_expiry", "probe_http_status_code", "probe_http_redirects",
            "probe_dns_lookup_time_seconds", "probe_ip_protocol", "probe_ip_addr_hash", "probe_timeout_seconds",
            "probe_http_content_length", "probe_http_uncompressed_body_length", "probe_failed_due_to_regex",
            "probe_ssl_last_chain_expiry_timestamp_seconds", "probe_ssl_last_chain_info", "probe_tls_cipher_info"],
        ("http_2xx", "http://127.0.0.1:{web}/file"): ["probe_http_last_modified_timestamp_seconds"],
        ("icmp", "127.0.0.1"): ["probe_icmp_duration_seconds", "probe_icmp_reply_hop_limit"],
        ("tcp_connect", "127.0.0.1:{web}"): ["probe_failed_due_to_regex", "probe_failed_due_to_bytes"],
        ("dns_soa", "127.0.0.1:{zone}"): [
            "probe_dns_duration_seconds", "probe_dns_answer_rrs", "probe_dns_authority_rrs", "probe_dns_additional_rrs",
            "probe_dns_query_succeeded", "probe_dns_serial"],
        ("grpc_plain", "127.0.0.1:{serving}"): [
            "probe_grpc_duration_seconds", "probe_grpc_ssl", "probe_grpc_status_code", "probe_grpc_healthcheck_response"],
    }
    for (module, target), names in wanted.items():
        found = {series.partition("{")[0] for series in parsed(pair.checked(pair.daemon, module, target))[0]}
        assert set(names) <= found, set(names) - found
    assert "blackbox_exporter_config_last_reload_success_timestamp_seconds" in pair.daemon.get("/metrics")[1]


NEW = {"unix": {"prober": "unix", "timeout": "2s", "unix": {"query_response": [{"send": "PING\r"}, {"expect": "^[+]PONG"}]}},
       "bytes": {"prober": "tcp", "timeout": "2s", "tcp": {"query_response": [
           {"send": "x"}, {"expect_bytes": "HTTP/1.1"}, {"expect": "OK"}]}},
       "other_bytes": {"prober": "tcp", "timeout": "2s", "tcp": {"query_response": [{"send": "x"}, {"expect_bytes": "HTTP/2"}]}},
       "labels": {"prober": "tcp", "timeout": "2s", "tcp": {"query_response": [
           {"expect": "^SSH-(?P<protocol>[0-9.]+)-([A-Za-z]+)_(.*)$",
            "labels": [{"name": "software", "value": "${2}"}, {"name": "version", "value": "$3 by ${protocol}"}]}]}},
       "icmp": {"prober": "icmp", "timeout": "2s"}}


@pytest.fixture(name="modern", scope="module")
def keepwell_with_newer_modules(build, tmp_path_factory):
    config = tmp_path_factory.mktemp("modern") / "blackbox.yml"
    config.write_text(yaml.safe_dump({"modules": NEW}))
    with keepwell.running(build, {"project": "x"}, f"--blackbox.config.file={config}") as daemon:
        daemon.modules_file = config
        yield daemon


def asked(daemon, module, target):
    code, text = daemon.get("/probe?" + urllib.parse.urlencode({"module": module, "target": target}))
    assert code == 200, text
    return parsed(text)[0]


def test_a_unix_socket(modern):
    with servers.redis() as redis:
        assert asked(modern, "unix", f"{redis.directory}/socket")["probe_success"] == 1
    assert asked(modern, "unix", f"{redis.directory}/socket")["probe_success"] == 0
    assert asked(modern, "unix", "/" + "a" * 200)["probe_success"] == 0


def test_bytes_and_labels_of_what_a_peer_says(modern):
    with peer(says(b"HTTP/1.1 200 OK\n")) as port:
        found = asked(modern, "bytes", f"127.0.0.1:{port}")
        assert (found["probe_success"], found["probe_failed_due_to_bytes"]) == (1, 0)
        found = asked(modern, "other_bytes", f"127.0.0.1:{port}")
        assert (found["probe_success"], found["probe_failed_due_to_bytes"]) == (0, 1)
    with peer(says_first(b"SSH-2.0-OpenSSH_9.2 \"p1\"\r\n")) as port:
        found = asked(modern, "labels", f"127.0.0.1:{port}")
        assert found[r'probe_expect_info{software="OpenSSH",version="9.2 \"p1\" by 2.0"}'] == 1


def test_icmp_where_it_is_not_allowed(build, modern):
    with open("/proc/sys/net/ipv4/ping_group_range", encoding="ascii") as file:
        least, most = (int(word) for word in file.read().split())
    daemon = keepwell.Daemon(build, {"project": "x"}, f"--blackbox.config.file={modern.modules_file}")
    if os.geteuid() == 0:
        daemon.argv = [servers.need("setpriv", "util-linux"), "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--", *daemon.argv]
    with servers.started(daemon):
        allowed = least <= os.getegid() <= most
        assert asked(daemon, "icmp", "127.0.0.1")["probe_success"] == (1 if allowed else 0)
        assert allowed or "ping_group_range" in daemon.get("/logs?target=127.0.0.1")[1]
