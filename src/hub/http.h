// http.h -- GET and HEAD by libcurl, with what a program that carries a token must not do.
//
// Redirects are followed here, one by one, and not by the library: the token goes to the endpoint's own scheme, host
// and port and nowhere else, and never over http to another machine; from https nothing leads to http. Certificates
// are verified. Proxies are those of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY). One thread.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/file.h"
#include "hub/settings.h"

namespace glossa {

struct HttpResponse {
  long status = 0;                             // 0 if none came
  std::map<std::string, std::string> headers;  // names in small letters; the hub's own X-... from before redirects too
  std::string failure;                         // why it broke off, in words; "" if it is whole
  bool passing = false;                        // another try may go better
  bool stopped = false;                        // `stop` said so

  const std::string& header(const std::string& name) const;  // "" if it was not sent
};

struct HttpRequest {
  std::string url;
  bool head = false;       // no body; redirects to another host are not followed
  std::uint64_t from = 0;  // the byte to begin at
  std::string if_range = {};  // an ETag: begin there only if it is still the file's
  bool is_file = false;    // it may take as long as it is not too slow; else Patience::answer
  // Called once before the first byte of a body of status 200 or 206; bodies of others are passed over. What either
  // throws ends the transfer and passes through `send`.
  std::function<void(const HttpResponse&)> begin = {};
  std::function<void(Bytes)> body = {};
};

class HttpClient {
 public:
  HttpClient(const HubSettings& settings, std::function<bool()> stop);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Error(network) for what no other try would change: a redirect to where none may go, too many of them, a
  // certificate that is not trusted. All else that goes wrong is in the response.
  HttpResponse send(const HttpRequest& request);

 private:
  struct Transfer;
  struct Free {
    void operator()(void* handle) const;
  };
  void perform(const std::string& url, const HttpRequest& request, Transfer& transfer);
  void configure(const std::string& url, const HttpRequest& request);
  std::string next_url(const std::string& url, const HttpRequest& request, const HttpResponse& response);
  bool carries_token(const std::string& url) const;

  const HubSettings& settings_;
  std::function<bool()> stop_;
  std::unique_ptr<void, Free> handle_;
};

// A part of an address with what is no letter, digit or one of "-._~" as %XX; '/' stays if `slashes`.
std::string url_escaped(std::string_view text, bool slashes);

}  // namespace glossa
