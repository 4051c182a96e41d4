#include "hub/http.h"

#include <gmock/gmock.h>

#include "fake_hub.h"
#include "support/error_of.h"

namespace glossa::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Http : public InFolder {
 protected:
  void SetUp() override {
    InFolder::SetUp();
    for (const char* name : {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY",
                             "all_proxy", "NO_PROXY", "no_proxy"})
      environment.set(name, nullptr);
  }
  Environment environment;
  HttpResponse get(const std::string& url) {
    body.clear();
    HttpClient client(settings, [] { return false; });
    HttpRequest request;
    request.url = url;
    request.body = [this](Bytes bytes) { body += as_text(bytes); };
    return client.send(request);
  }
  std::string refused(const std::string& url) {
    return error_of([&] { get(url); });
  }
  HubSettings settings{.cache = {},
                       .endpoint = "http://127.0.0.1:1",
                       .token = "hf_secret",
                       .authorities = {},
                       .authorities_folder = {}};
  std::string body;
};

TEST_F(Http, HeadersAndBody) {
  Server server([](const Request&, Connection& out) { out.reply(200, "X-Some:  a value \r\n", "text"); });
  const HttpResponse r = get(server.url());
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.header("x-some"), "a value");
  EXPECT_EQ(body, "text");
  EXPECT_EQ(server.requests()[0].header("accept-encoding"), "identity");
  EXPECT_EQ(server.requests()[0].header("authorization"), "");  // it is not the endpoint
}

TEST_F(Http, ARedirectWithinTheEndpointKeepsTheToken) {
  Server server([](const Request& r, Connection& out) {
    if (r.target == "/a") return out.reply(307, "Location: /b\r\n", "moved");
    out.reply(200, "", "here");
  });
  settings.endpoint = server.url();
  EXPECT_EQ(get(server.url() + "/a").status, 200);
  EXPECT_EQ(body, "here");
  EXPECT_EQ(server.requests()[1].header("authorization"), "Bearer hf_secret");
}

TEST_F(Http, ALoopOfRedirectsEnds) {
  Server server([](const Request&, Connection& out) { out.reply(302, "Location: /again\r\n", ""); });
  EXPECT_THAT(refused(server.url()), AllOf(StartsWith("E4006"), HasSubstr("10 times")));
  EXPECT_EQ(server.requests().size(), 11u);
}

TEST_F(Http, ARedirectToNoAddressOfHttpIsRefused) {
  for (const char* to :
       {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:word@127.0.0.1/", "gopher://x"}) {
    Server server(
        [&](const Request&, Connection& out) { out.reply(302, fmt::format("Location: {}\r\n", to), ""); });
    EXPECT_THAT(refused(server.url()), StartsWith("E4006")) << to;
  }
  Server server([](const Request&, Connection& out) { out.reply(302, "", ""); });
  EXPECT_THAT(refused(server.url()), AllOf(StartsWith("E4006"), HasSubstr("no place to go")));
}

TEST_F(Http, FromHttpsNothingLeadsToHttp) {
  Server plain([](const Request&, Connection& out) { out.reply(200, "", "plain"); });
  Server secure(
      [&](const Request&, Connection& out) {
        out.reply(302, "Location: " + plain.url() + "/?signature=secret\r\n", "");
      },
      true);
  settings.endpoint = secure.url();
  settings.authorities = put("authority.pem", secure.certificate());
  EXPECT_THAT(refused(secure.url()), AllOf(StartsWith("E4006"), HasSubstr("from https to http"),
                                           testing::Not(HasSubstr("signature"))));
  EXPECT_TRUE(plain.requests().empty());
  EXPECT_EQ(secure.requests()[0].header("authorization"), "Bearer hf_secret");
}

TEST_F(Http, ACertificateOfNobodyIsRefused) {
  Server secure([](const Request&, Connection& out) { out.reply(200, "", "x"); }, true);
  EXPECT_THAT(refused(secure.url()),
              AllOf(StartsWith("E4006"), HasSubstr("certificate"), HasSubstr("SSL_CERT_FILE")));
  EXPECT_TRUE(secure.requests().empty());
}

TEST_F(Http, TheTokenIsNotSentInClearToAnotherMachine) {
  Server proxy([](const Request&, Connection& out) { out.reply(200, "", "by proxy"); });
  environment.set("HTTP_PROXY", proxy.url().c_str());
  settings.endpoint = "http://hub.invalid";
  EXPECT_EQ(get("http://hub.invalid/x").status, 200);
  EXPECT_EQ(body, "by proxy");
  EXPECT_EQ(proxy.requests()[0].target, "http://hub.invalid/x");
  EXPECT_EQ(proxy.requests()[0].header("authorization"), "");
  environment.set("NO_PROXY", "hub.invalid");
  EXPECT_NE(get("http://hub.invalid/x").failure, "");
  EXPECT_EQ(proxy.requests().size(), 1u);
}

TEST_F(Http, ATokenForThisMachineGoesThroughNoProxy) {
  Server proxy([](const Request&, Connection& out) { out.reply(200, "", "by proxy"); });
  Server server([](const Request&, Connection& out) { out.reply(200, "", "itself"); });
  environment.set("HTTP_PROXY", proxy.url().c_str());
  settings.endpoint = server.url();
  EXPECT_EQ(get(server.url()).status, 200);
  EXPECT_EQ(body, "itself");
  EXPECT_EQ(server.requests()[0].header("authorization"), "Bearer hf_secret");
  settings.token = "";
  get(server.url());
  EXPECT_EQ(body, "by proxy");
}

TEST_F(Http, ASlowBodyIsGivenUp) {
  Server server([](const Request&, Connection& out) {
    out.write("HTTP/1.1 200 -\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 40; ++i) out.write("."), std::this_thread::sleep_for(std::chrono::milliseconds(100));
  });
  settings.patience.slow = std::chrono::seconds(1);
  const auto begin = std::chrono::steady_clock::now();
  const HttpResponse r = get(server.url());
  EXPECT_THAT(r.failure, HasSubstr("too slow"));
  EXPECT_TRUE(r.passing);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
}

TEST_F(Http, AServerThatSaysNothingOrIsNotThereIsAFailure) {
  Server silent([](const Request&, Connection&) {});
  const HttpResponse empty = get(silent.url());
  EXPECT_NE(empty.failure, "");
  EXPECT_TRUE(empty.passing);
  EXPECT_TRUE(get("http://127.0.0.1:1/").passing);
  Server noise([](const Request&, Connection& out) { out.write("nothing of HTTP\r\n\r\n"); });
  EXPECT_NE(get(noise.url()).failure, "");
}

TEST_F(Http, EndlessHeadersAndEndlessRefusalsEnd) {
  Server headers([](const Request&, Connection& out) {
    out.write("HTTP/1.1 200 -\r\n");
    for (int i = 0; i < 100'000; ++i) out.write(fmt::format("X-{}: {}\r\n", i, std::string(80, 'x')));
  });
  EXPECT_NE(get(headers.url()).failure, "");
  Server refusal([](const Request&, Connection& out) {
    out.write("HTTP/1.0 404 -\r\n\r\n");
    for (int i = 0; i < 100; ++i) out.write(std::string(1 << 16, 'x'));
  });
  EXPECT_EQ(get(refusal.url()).status, 404);
  EXPECT_EQ(body, "");
}

TEST_F(Http, WhatAReceiverThrowsPassesThrough) {
  Server server([](const Request&, Connection& out) { out.reply(200, "", "text"); });
  HttpClient client(settings, [] { return false; });
  HttpRequest request;
  request.url = server.url();
  request.body = [](Bytes) { fail(Code::write, "the disk is full"); };
  EXPECT_EQ(error_of([&] { client.send(request); }), "E4003 the disk is full");
  request.body = {};
  EXPECT_EQ(client.send(request).status, 200);  // it can be used again
}

TEST(UrlEscaped, KeepsPlainCharactersAlone) {
  EXPECT_EQ(url_escaped("a-b_c.d~/ü?#%", true), "a-b_c.d~/%C3%BC%3F%23%25");
  EXPECT_EQ(url_escaped("refs/pr/1", false), "refs%2Fpr%2F1");
}

}  // namespace
}  // namespace glossa::test
