"""The status page in a real browser, over a real keepwell and real servers: seen, searched, acted on, broken and healed."""

import contextlib
import http.server
import re
import socket
import threading

import browser
import keepwell
import pytest
import servers
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all of them

WEB = 'server { listen @PORT@; location / { return 200 "fine"; } location /missing { return 404; } }'
HOSTILE = "</pre></td></tr><script>window.hacked=1</script><img src=x onerror=window.hacked=2>\"' onfocus=window.hacked=3 \u202Egnp.exe"


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as chrome:
        yield chrome


@pytest.fixture
def chrome(chromium):
    """On a desktop, with nothing said on the console yet; nothing must have been said at the end."""
    chromium.emulate()
    chromium.get("about:blank")
    chromium.complaints()
    yield chromium
    chromium.get("about:blank")
    # That keepwell has ended while the page was still open is no fault of the page.
    assert [each for each in chromium.complaints() if "/api/v1/events" not in each["message"] or "net::" not in each["message"]] == []


@pytest.fixture(scope="module")
def web():
    with servers.nginx(WEB) as server:
        yield server


def redis_probe(server, **more):
    return {"redis": server.address, **keepwell.FAST, **more}


def small_stack(redis, web):
    """nginx in front of an api that needs Redis; a shop beside them."""
    return {"project": "shop", "services": {
        "cache": {"probes": [redis_probe(redis)]},
        "api": {"depends_on": ["cache"], "probes": [keepwell.http(web.url), redis_probe(redis, role="readiness")]},
        "nginx": {"depends_on": ["api"], "probes": [keepwell.http(web.url)]},
        "mail": {"probes": [keepwell.http(web.url)]}}}


def large_stack(redis, other, web):
    """Thirty services, of which one takes three others down with it."""
    services = {"cache": {"probes": [redis_probe(redis)], "restart": {"mode": "act", "backoff": "1m", "command": {"argv": ["false"]}}}}
    services |= {name: {"probes": [redis_probe(other)]} for name in ("sessions", "queue")}
    for name in ("orders", "catalog", "search"):
        services[name] = {"depends_on": ["cache"], "probes": [keepwell.http(web.url), redis_probe(redis, role="readiness")]}
    for name in ("users", "payments", "mailer"):
        services[name] = {"depends_on": ["sessions", "queue"], "probes": [keepwell.http(web.url), redis_probe(other, role="readiness")]}
    services["api"] = {"depends_on": ["orders", "users", "catalog", "search", "payments"], "probes": [keepwell.http(web.url)]}
    services |= {name: {"depends_on": ["api"], "probes": [keepwell.http(web.url)]} for name in ("admin", "storefront")}
    services["nginx"] = {"depends_on": ["storefront", "admin"],
                         "probes": [keepwell.http(web.url), {"exec": ["nginx", "-t"], "role": "gate"}]}
    services |= {f"worker-{i}": {"depends_on": ["queue"], "probes": [redis_probe(other)]} for i in range(1, 16)}
    services["warehouse-import"] = {"probes": [keepwell.http(web.url + "/missing")]}
    services["cron"] = {}
    return {"project": "shop", "services": services}


# A row may be replaced at any moment: what is read of it is read in one go, and what is done to it is tried again.

def row(chrome, service, what="innerText"):
    return chrome.execute_script(f"""return [...document.querySelectorAll('#rows tr')].find(
        (row) => row.querySelector('.name bdi').textContent === arguments[0])?.{what}""", service)


def state_of(chrome, service):
    return row(chrome, service, "dataset.state")


def press(chrome, service, selector):
    def found_and_pressed():
        rows = chrome.all("#rows tr")
        found = next(each for each in rows if each.find_element(By.CSS_SELECTOR, ".name bdi").text == service)
        found.find_element(By.CSS_SELECTOR, selector).click()
        return True
    chrome.wait(found_and_pressed)


def shown_services(chrome):
    return chrome.execute_script("""return [...document.querySelectorAll('#rows tr')].filter((row) => row.checkVisibility())
        .map((row) => row.querySelector('.name bdi').textContent)""")


def open_page(chrome, daemon, host=servers.HOST):
    chrome.get(f"http://{host}:{daemon.port}/")
    chrome.wait(lambda: chrome.text("#live-text") == "Live", what="the page is live")


def test_what_breaks_and_heals_is_seen_without_a_reload(build, chrome, web):
    with servers.redis() as redis, keepwell.running(build, small_stack(redis, web)) as daemon:
        daemon.wait_state("nginx", "healthy")
        open_page(chrome, daemon)
        chrome.wait(lambda: chrome.text("#verdict") == "All 4 services are healthy")
        assert shown_services(chrome) == ["cache", "api", "nginx", "mail"]
        chrome.execute_script("window.same = true")
        chrome.screenshot("well")

        redis.kill()
        chrome.wait(lambda: chrome.text("#verdict") == "2 of 4 services are unhealthy")
        cause = chrome.wait(lambda: chrome.text(".cause"))
        assert "root cause" in cause and "nothing listens there" in cause
        chrome.wait(lambda: "Unhealthy because of it: api" in chrome.text(".cause"))
        chrome.wait(lambda: shown_services(chrome)[:2] == ["cache", "api"] and state_of(chrome, "api") == "unhealthy")
        chrome.wait(lambda: "because of cache" in row(chrome, "api"))
        assert "root cause" in row(chrome, "cache") and "connection refused" in row(chrome, "cache")
        assert state_of(chrome, "nginx") == "healthy"
        assert chrome.one(".graph .root").get_attribute("aria-label") == "cache: unhealthy, root cause"
        assert chrome.text("#count-trouble") == "2" and chrome.title.startswith("(2) ")
        chrome.wait(lambda: "restart asked for" in chrome.text("#happenings"))
        assert "is unhealthy" in chrome.text("#news")

        redis.start()
        chrome.wait(lambda: chrome.text("#verdict") == "All 4 services are healthy")
        chrome.wait(lambda: state_of(chrome, "cache") == "healthy")
        assert not chrome.all(".graph .root") and not chrome.title.startswith("(")
        chrome.wait(lambda: "signal cleared" in chrome.text("#happenings"))
        assert chrome.execute_script("return window.same") is True


def test_a_strip_and_a_latency_are_shown_for_every_service(build, chrome, web):
    with servers.redis() as redis, keepwell.running(build, small_stack(redis, web)) as daemon:
        daemon.wait_state("mail", "healthy")
        open_page(chrome, daemon)
        chrome.wait(lambda: all(row(chrome, name, "querySelector('.latency > span').textContent").endswith(("µs", "ms", " s"))
                                for name in ("cache", "api", "nginx", "mail")))
        assert re.match("last [12] min: ", row(chrome, "cache", "querySelector('.strip title').textContent"))
        before = chrome.text("#rows .latency > span")
        chrome.wait(lambda: chrome.text("#rows .latency > span") != before, what="the latency goes on")


def test_search_and_filter(build, chrome, web):
    with servers.redis() as redis, servers.redis() as other, keepwell.running(build, large_stack(redis, other, web)) as daemon:
        redis.kill()
        daemon.wait_state("search", "unhealthy")
        daemon.wait_state("nginx", "healthy")
        open_page(chrome, daemon)
        chrome.wait(lambda: chrome.text("#count-trouble") == "5")
        assert len(shown_services(chrome)) == 30
        chrome.one("label:has(#show-trouble)").click()
        assert sorted(shown_services(chrome)) == ["cache", "catalog", "orders", "search", "warehouse-import"]
        chrome.one("body").send_keys("/")
        chrome.switch_to.active_element.send_keys("refused cat")  # words in any order; names and reasons
        assert shown_services(chrome) == ["catalog"]
        chrome.switch_to.active_element.send_keys("xyz")
        assert shown_services(chrome) == [] and chrome.shown("#nothing")
        chrome.one("#search").clear()
        chrome.one("#search").send_keys("worker-1")
        assert chrome.shown("#nothing")
        assert {each.text for each in chrome.shown("#happenings .what a")} == {"worker-1", *(f"worker-{i}" for i in range(10, 16))}
        chrome.one("label:has(#show-all)").click()
        assert shown_services(chrome) == ["worker-1"] + [f"worker-{i}" for i in range(10, 16)]
        assert not chrome.shown("#nothing")
        # What is told meanwhile changes nothing of what was searched for.
        daemon.post("/api/v1/maintenance/worker-12")
        chrome.wait(lambda: state_of(chrome, "worker-12") == "maintenance")
        assert shown_services(chrome) == ["worker-12", "worker-1"] + [f"worker-{i}" for i in (10, 11, 13, 14, 15)]


def test_maintenance_begins_and_ends_on_the_page(build, chrome, web):
    with servers.redis() as redis, keepwell.running(build, small_stack(redis, web)) as daemon:
        daemon.wait_state("mail", "healthy")
        open_page(chrome, daemon)
        press(chrome, "mail", ".maintain")
        chrome.wait(lambda: chrome.shown("dialog[open]"))
        assert chrome.text("#maintenance-heading") == "Maintenance of mail"
        chrome.screenshot("maintenance")
        chrome.one("dialog button[value=cancel]").click()
        chrome.wait(lambda: not chrome.shown("dialog"))
        assert daemon.service("mail")["state"] == "healthy"

        press(chrome, "mail", ".maintain")
        chrome.switch_to.active_element.send_keys("new <disk> & more", Keys.ENTER)
        chrome.wait(lambda: state_of(chrome, "mail") == "maintenance")
        assert "in maintenance: new <disk> & more" in row(chrome, "mail")
        assert daemon.service("mail")["maintenance"] == {"note": "new <disk> & more"}

        press(chrome, "mail", ".resume")
        chrome.wait(lambda: state_of(chrome, "mail") == "healthy")
        assert "maintenance" not in daemon.service("mail") and not chrome.shown("#told")


def test_a_browser_that_came_by_another_name_may_only_read(build, chrome, web):
    """As over a proxy, or when a foreign site lets its own name point here."""
    with servers.redis() as redis, keepwell.running(build, small_stack(redis, web)) as daemon:
        daemon.wait_state("mail", "healthy")
        open_page(chrome, daemon, "status.example")
        assert "same host" in chrome.one(".read-only").text
        assert not chrome.shown("#rows button")
        # Whoever shows the button all the same is refused, and told why.
        chrome.execute_script("document.documentElement.classList.replace('may-read', 'may-act')")
        press(chrome, "mail", ".maintain")
        chrome.one("dialog .primary").click()
        chrome.wait(lambda: chrome.shown("#told"))
        assert chrome.one("#told").text.startswith("Refused: changes are only taken")
        chrome.screenshot("refused")
        assert daemon.service("mail")["state"] == "healthy"
        assert ["403" in entry["message"] for entry in chrome.complaints()] == [True]  # the browser's own line on it


class OtherSite(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.server.page.encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def other_site(page):
    with http.server.ThreadingHTTPServer((servers.HOST, 0), OtherSite) as server:
        server.page = page
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{servers.HOST}:{server.server_port}/"
        server.shutdown()


def test_a_page_of_another_site_can_press_no_button(build, chrome, web):
    with servers.redis() as redis, keepwell.running(build, small_stack(redis, web)) as daemon:
        daemon.wait_state("mail", "healthy")
        url = f"{daemon.url}/api/v1/maintenance/mail"
        with other_site(f'<title>trap</title><form method="post" action="{url}"><button>Win</button></form>'
                        f'<iframe src="{daemon.url}/"></iframe>') as site:
            chrome.get(site)
            fetched = chrome.execute_async_script("""const [url, done] = arguments;
                fetch(url, {method: 'POST', mode: 'no-cors'}).then((reply) => done(reply.type), (error) => done(String(error)))""", url)
            assert fetched == "opaque"  # sent, and refused
            chrome.one("button").click()
            chrome.wait(lambda: "another site" in chrome.text("body"))
        assert daemon.service("mail")["state"] == "healthy" and not daemon.history("state_changed", "mail")[1:]
        complaints = [entry["message"] for entry in chrome.complaints()]
        assert any("frame-ancestors" in text or "Framing" in text for text in complaints), complaints


def test_without_javascript_it_is_a_plain_table_whose_buttons_work(build, chrome, web):
    with servers.redis() as redis, keepwell.running(build, small_stack(redis, web)) as daemon:
        daemon.wait_state("nginx", "healthy")
        redis.kill()
        daemon.wait_state("api", "unhealthy")
        daemon.wait_state("cache", "unhealthy")
        chrome.emulate(scripts=False)
        chrome.get(daemon.url + "/")
        assert chrome.text("#verdict") == "2 of 4 services are unhealthy"
        assert shown_services(chrome) == ["cache", "api", "nginx", "mail"]
        assert "nothing listens there" in row(chrome, "cache") and chrome.all(".graph .root")
        chrome.screenshot("without-script")
        assert chrome.text("#live-text").startswith("As of 20") and not chrome.shown("#search")
        chrome.one("label:has(#show-trouble)").click()
        assert shown_services(chrome) == ["cache", "api"]
        chrome.one("label:has(#show-all)").click()
        press(chrome, "mail", ".maintain")
        chrome.wait(lambda: chrome.current_url.endswith("/#service-3") and state_of(chrome, "mail") == "maintenance")
        press(chrome, "mail", ".resume")
        chrome.wait(lambda: state_of(chrome, "mail") != "maintenance")
        assert "maintenance" not in daemon.service("mail")


def test_hostile_words_are_shown_and_do_nothing(build, chrome, tmp_path):
    script = tmp_path / "hostile"
    script.write_text(HOSTILE + "\nerror: " + HOSTILE + "\x1b[31m\n")
    config = {"services": {"evil": {"probes": [{"exec": ["sh", "-c", f"cat {script}; exit 1"], **keepwell.FAST}]}}}
    with keepwell.running(build, config) as daemon:
        open_page(chrome, daemon)
        chrome.wait(lambda: state_of(chrome, "evil") == "unhealthy")
        press(chrome, "evil", "summary")
        chrome.wait(lambda: HOSTILE in chrome.one("#rows pre").text)
        chrome.screenshot("hostile")
        press(chrome, "evil", ".maintain")
        chrome.switch_to.active_element.send_keys(HOSTILE[:150], Keys.ENTER)
        chrome.wait(lambda: "in maintenance: " + HOSTILE[:150] in row(chrome, "evil"))
        chrome.refresh()
        chrome.wait(lambda: HOSTILE[:150] in row(chrome, "evil"))
        assert chrome.execute_script("return window.hacked ?? null") is None and not chrome.all("img")


def test_a_fold_and_the_focus_outlive_what_is_told(build, chrome, web):
    with servers.redis() as redis, keepwell.running(build, small_stack(redis, web)) as daemon:
        daemon.wait_state("api", "healthy")
        open_page(chrome, daemon)
        chrome.one("body").send_keys(Keys.TAB)
        assert chrome.switch_to.active_element.text == "Skip to the services"
        chrome.switch_to.active_element.send_keys(Keys.ENTER)
        assert chrome.switch_to.active_element.get_attribute("id") == "services"
        chrome.execute_script("document.querySelector('#service-0 summary').focus()")
        chrome.switch_to.active_element.send_keys(Keys.ENTER)
        assert "liveness, every 200ms" in row(chrome, "cache")
        redis.kill()
        chrome.wait(lambda: state_of(chrome, "cache") == "unhealthy")
        assert "liveness, every 200ms" in row(chrome, "cache")
        assert chrome.execute_script("return document.activeElement === document.querySelector('#service-0 summary')")


def test_who_reads_an_output_by_keyboard_stays_where_he_is(build, chrome):
    script = "seq -f 'line %g' 60; date +%N; exit 1"  # another output each time
    probes = [{"exec": ["true"], **keepwell.FAST}, {"exec": {"shell": script}, "name": "long", **keepwell.FAST}]
    config = {"services": {"talker": {"probes": probes}}}
    with keepwell.running(build, config) as daemon:
        daemon.wait_state("talker", "unhealthy")
        open_page(chrome, daemon)
        press(chrome, "talker", "summary")
        seen = chrome.wait(lambda: chrome.execute_script("""const pre = document.querySelector('#rows pre');
            pre.focus(); pre.scrollTop = 70; return document.activeElement === pre && pre.textContent"""))
        for _ in range(2):
            chrome.wait(lambda: seen != row(chrome, "talker", "querySelector('pre').textContent"), what="the next output")
            seen, focused, scrolled = chrome.execute_script("""const pre = document.querySelector('#rows pre');
                return [pre.textContent, document.activeElement === pre, pre.scrollTop]""")
            assert focused and scrolled == 70


def test_the_page_follows_a_reload_and_a_restart_of_keepwell(build, chrome, web):
    with servers.redis() as redis:
        config = small_stack(redis, web)
        with keepwell.running(build, config) as daemon:
            daemon.wait_state("mail", "healthy")
            open_page(chrome, daemon)
            chrome.execute_script("window.same = true")
            config["services"]["fresh"] = {"probes": [redis_probe(redis)]}
            del config["services"]["mail"]
            daemon.write(config)
            assert daemon.post("/-/reload")[0] == 200
            chrome.wait(lambda: shown_services(chrome) == ["cache", "api", "nginx", "fresh"])
            daemon.stop()
            chrome.wait(lambda: chrome.text("#live-text").startswith("Not live"))
            daemon.start()
            chrome.wait(lambda: chrome.text("#live-text") == "Live" and state_of(chrome, "fresh") == "healthy", 20)
            assert chrome.execute_script("return window.same") is True


CONTRAST = """
const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const colour = parse(getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const poor = [];
for (const element of document.body.querySelectorAll('*:not(svg *)')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility()) continue;
  const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(element.outerHTML.slice(0, 80) + ' ' + ((a + 0.05) / (b + 0.05)).toFixed(2));
}
return poor;
"""


@pytest.fixture(scope="module")
def broken(build, web):
    with servers.redis() as redis, servers.redis() as other, keepwell.running(build, large_stack(redis, other, web)) as daemon:
        daemon.wait_state("nginx", "healthy")
        redis.kill()
        for service in ("cache", "orders", "catalog", "search", "warehouse-import"):
            daemon.wait_state(service, "unhealthy")
        daemon.post("/api/v1/maintenance/worker-3?note=new%20disk")
        daemon.wait_hold("cache", "cooling_down")
        yield daemon


@pytest.mark.parametrize("name, how", [("desktop", {}), ("dark", {"dark": True}), ("phone", {"width": 390, "height": 844, "phone": True}),
                                       ("phone-dark", {"width": 390, "height": 844, "phone": True, "dark": True})],
                         ids=["desktop", "dark", "phone", "phone-dark"])
def test_it_can_be_read_on_every_screen(chrome, broken, name, how):
    """The screenshots are kept in build/results/screenshots, to be looked at."""
    chrome.emulate(**how)
    open_page(chrome, broken)
    chrome.screenshot(name)
    chrome.screenshot(name + "-whole", whole=True)
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= how.get("width", 1440), "it scrolls sideways"
    assert chrome.execute_script(CONTRAST) == []
    assert chrome.execute_script("""return [...document.querySelectorAll('button, summary, a, h2, h3')]
        .filter((each) => !each.textContent.trim()).length""") == 0, "something has no name"
    for selector in ("#search", "#rows .maintain", "#show-all", "table", "main > section", "header"):
        assert chrome.one(selector).accessible_name or selector == "header", selector
    assert [chrome.one(selector).aria_role for selector in ("#rows tr", "#rows th", "#rows td", "table", "main")] == \
        ["row", "rowheader", "cell", "table", "main"]


@pytest.fixture(scope="module")
def wordy(build, web):
    """Names, reasons and notes as long as they get, and an instance in quarantine, which has both buttons."""
    long_name = "warehouse-import-" + "x" * 40
    restart = {"mode": "act", "backoff": "100ms", "backoff_max": "100ms", "max": 1, "command": {"argv": ["true"]}}
    services = {"cache": {"probes": [keepwell.http(web.url)]}, "api": {"probes": [keepwell.http(web.url)]},
                "nginx": {"probes": [keepwell.http(web.url)]}, long_name: {"probes": [keepwell.http(web.url)]},
                "chatty": {"probes": [{"exec": {"shell": f"echo error: {'y' * 190}; exit 1"}, **keepwell.FAST}]},
                "broken": {"probes": [{"exec": ["false"], **keepwell.FAST}], "restart": restart}}
    with keepwell.running(build, {"project": "p" * 60, "services": services}) as daemon:
        daemon.wait_state("nginx", "healthy")
        daemon.wait_state("chatty", "unhealthy")
        daemon.wait_hold("broken", "quarantined")
        daemon.post("/api/v1/maintenance/api?note=" + "z" * 200)
        yield daemon


@pytest.mark.parametrize("width", [320, 390, 760, 761, 800, 900, 1024, 1100, 1200, 1201, 1280])
def test_no_width_pushes_anything_off_the_screen(chrome, broken, wordy, width):
    for daemon, name in ((broken, "broken"), (wordy, "wordy")):
        for dark in (False, True):
            chrome.emulate(width=width, height=900, phone=width < 500, dark=dark)
            open_page(chrome, daemon)
            chrome.screenshot(f"{name}-{width}{'-dark' if dark else ''}")
            assert chrome.execute_script("return document.documentElement.scrollWidth") <= width, name
            outside = chrome.execute_script("""return [...document.querySelectorAll('#rows button, #rows .state, #rows .name bdi')]
                .map((each) => [each.textContent, each.getBoundingClientRect()])
                .filter(([, box]) => !(box.left >= 0 && box.right <= innerWidth && box.width > 0)).map(([text]) => text)""")
            assert outside == [], name


def test_thousands_of_services_stay_usable(build, chrome):
    with servers.redis() as redis:
        probe = {"tcp": redis.address, "interval": "2s"}
        services = {f"s{i:04}": {"probes": [probe], **({"depends_on": [f"s{i // 10:04}"]} if i else {})} for i in range(1000)}
        with keepwell.running(build, {"services": services}) as daemon:
            servers.wait_until(lambda: daemon.get("/-/ready")[0] == 200, 30)
            open_page(chrome, daemon)
            chrome.wait(lambda: chrome.text("#verdict") == "All 1000 services are healthy")
            assert len(chrome.all("#rows tr")) == 1000
            chrome.one("#search").send_keys("s0999")
            assert shown_services(chrome) == ["s0999"]
            chrome.one("#rows tr:not(.unlike) .maintain").click()
            chrome.switch_to.active_element.send_keys(Keys.ENTER)
            chrome.wait(lambda: state_of(chrome, "s0999") == "maintenance")


# --- what the page is made of, without a browser ---

def ask(daemon, method, path, *headers):
    """(status, headers in lower case, the body's first part) over a connection that is left open; and that connection."""
    client = socket.create_connection((servers.HOST, daemon.port), timeout=10)
    client.sendall("\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {daemon.address}", *headers, "", ""]).encode())
    reply = b""
    while b"\r\n\r\n" not in reply:
        part = client.recv(65536)
        assert part, reply
        reply += part
    head, _, body = reply.decode("utf-8", "replace").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return int(first.split()[1]), {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}, body, client


@pytest.fixture(scope="module")
def plain(build):
    with keepwell.running(build, {"services": {"fine": {"probes": [{"exec": ["true"], **keepwell.FAST}]}}}) as daemon:
        daemon.wait_state("fine", "healthy")
        yield daemon


def test_the_page_allows_nothing_inline_and_nothing_from_elsewhere(plain):
    status, headers, _, client = ask(plain, "GET", "/")
    client.close()
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert status == 200 and policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'" and "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"


def test_files_of_the_page_are_kept_by_browsers_until_they_change(plain):
    urls = re.findall(r'"(/page/[^"]+)"', plain.get("/")[1])
    assert len(urls) == 3
    for url in urls:
        status, headers, _, client = ask(plain, "GET", url)
        client.close()
        assert status == 200 and "immutable" in headers["cache-control"]
        status, again, body, client = ask(plain, "GET", url.partition("?")[0], f"If-None-Match: {headers['etag']}")
        client.close()
        assert status == 304 and again["cache-control"] == "no-cache" and body == ""
    assert plain.get("/page/page.html")[0] == plain.get("/page/nothing.css")[0] == plain.get("/page/..%2Fapi.cpp")[0] == 404


def test_requests_in_a_row_are_answered_in_a_row(plain):
    with socket.create_connection((servers.HOST, plain.port), timeout=10) as client:
        wanted = [("GET", "/"), ("HEAD", "/"), ("GET", "/metrics"), ("GET", "/badge/fine.svg"), ("GET", "/-/healthy")]
        client.sendall(b"".join(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for method, path in wanted))
        replies = client.makefile("rb")
        for method, path in wanted:
            assert replies.readline().startswith(b"HTTP/1.1 200 "), path
            length = 0
            while (line := replies.readline().strip()):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            assert length > 0, path
            if method == "GET":
                assert len(replies.read(length)) == length


def test_whoever_talks_on_a_stream_ends_it(plain):
    _, _, _, client = ask(plain, "GET", "/api/v1/events")
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.settimeout(5)
    with contextlib.suppress(ConnectionResetError):  # what it said was not read
        while client.recv(65536):
            pass
    client.close()


def test_badges_tell_the_state(plain):
    status, headers, body, client = ask(plain, "GET", "/badge/fine.svg")
    client.close()
    assert status == 200 and headers["content-type"] == "image/svg+xml" and "no-cache" in headers["cache-control"]
    assert "fine: healthy" in body
    status, _, _, client = ask(plain, "GET", "/badge/fine.svg", f"If-None-Match: {headers['etag']}")
    client.close()
    assert status == 304
    for path in ("/badge/nobody.svg", "/badge/fine", "/badge/.svg", "/badge/%3Cscript%3E.svg"):
        code, text = plain.get(path)
        assert code == 404 and text.startswith('{"error":') and "<" not in text, path


def test_events_are_bounded_and_end_with_keepwell(build):
    with keepwell.running(build, {"services": {"fine": {"probes": [{"exec": ["true"], **keepwell.FAST}]}}}) as daemon:
        streams = []
        for _ in range(64):
            status, headers, _, client = ask(daemon, "GET", "/api/v1/events")
            assert status == 200 and headers["content-type"] == "text/event-stream"
            streams.append(client)
        status, headers, body, client = ask(daemon, "GET", "/api/v1/events")
        client.close()
        assert status == 503 and headers["retry-after"] and "too many" in body
        assert daemon.request("HEAD", "/api/v1/events")[0] == 200 and daemon.request("DELETE", "/api/v1/events")[0] == 405
        # Who goes away makes room at once, and not only at the next heartbeat.
        for client in streams[:32]:
            client.close()
        servers.wait_until(lambda: _opens(daemon, streams), 5, "a place is free again")
        assert daemon.stop() == 0
        for client in streams[32:]:
            client.settimeout(5)
            while client.recv(65536):
                pass
            client.close()


def _opens(daemon, streams):
    status, _, _, client = ask(daemon, "GET", "/api/v1/events")
    streams.append(client)
    return status == 200
