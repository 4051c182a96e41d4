// server.h -- an HTTP server of the test's own on the loopback, which can also do what no server should: each connection is
// served by a thread, one request, and a handler writes what it likes.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;

namespace glossa::test {

struct Request {
  std::string method, target;                  // "/api/models/a/b"
  std::map<std::string, std::string> headers;  // names in small letters
  std::string header(const std::string& name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? "" : it->second;
  }
};

class Connection {
 public:
  Connection(int socket, SSL* tls) : socket_(socket), tls_(tls) {}
  void write(std::string_view bytes);
  // Status line, headers ("Name: value\r\n" each), Content-Length and body.
  void reply(int status, const std::string& headers, std::string_view body);
  std::string read_head();

 private:
  int socket_;
  SSL* tls_;
};

class Server {
 public:
  using Handler = std::function<void(const Request&, Connection&)>;
  // With `tls`, https with a certificate for 127.0.0.1 that is made and signed on the spot.
  explicit Server(Handler handler, bool tls = false);
  ~Server();
  std::string url() const;  // "http://127.0.0.1:1234"
  const std::string& certificate() const { return certificate_; }  // PEM
  std::vector<Request> requests() const;  // until now

 private:
  void accept_all();
  void serve(int socket);
  void make_certificate();

  Handler handler_;
  int listener_ = -1, port_ = 0;
  SSL_CTX* context_ = nullptr;
  std::string certificate_;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::vector<std::thread> workers_;
  std::thread acceptor_;
};

}  // namespace glossa::test
