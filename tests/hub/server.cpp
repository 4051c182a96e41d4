#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <sstream>

#include "base/error.h"

namespace glossa::test {

void Connection::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = tls_ ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                           : send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;  // the other side has gone
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void Connection::reply(int status, const std::string& headers, std::string_view body) {
  write(fmt::format("HTTP/1.1 {} -\r\nConnection: close\r\n{}Content-Length: {}\r\n\r\n", status, headers, body.size()));
  write(body);
}

std::string Connection::read_head() {
  std::string head;
  char c;
  while (!head.ends_with("\r\n\r\n") && head.size() < 65536) {
    const ssize_t n = tls_ ? SSL_read(tls_, &c, 1) : recv(socket_, &c, 1, 0);
    if (n != 1) return "";
    head += c;
  }
  return head;
}

Server::Server(Handler handler, bool tls) : handler_(std::move(handler)) {
  std::signal(SIGPIPE, SIG_IGN);
  if (tls) make_certificate();
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  check(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener_, 16) == 0 &&
            getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0,
        Code::open, "no port on the loopback");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

Server::~Server() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (std::thread& worker : workers_) worker.join();
  close(listener_);
  SSL_CTX_free(context_);
}

std::string Server::url() const {
  return fmt::format("{}://127.0.0.1:{}", context_ ? "https" : "http", port_);
}

std::vector<Request> Server::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void Server::accept_all() {
  for (;;) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    workers_.emplace_back([this, socket] { serve(socket); });
  }
}

void Server::serve(int socket) {
  SSL* tls = nullptr;
  if (context_) {
    tls = SSL_new(context_);
    SSL_set_fd(tls, socket);
    if (SSL_accept(tls) != 1) {
      SSL_free(tls);
      close(socket);
      return;
    }
  }
  Connection connection(socket, tls);
  std::istringstream head(connection.read_head());
  Request request;
  std::string line;
  head >> request.method >> request.target;
  std::getline(head, line);
  while (std::getline(head, line) && line != "\r") {
    const std::size_t colon = line.find(": ");
    if (colon == line.npos) continue;
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    request.headers[name] = line.substr(colon + 2, line.size() - colon - 3);
  }
  if (!request.method.empty()) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    handler_(request, connection);
  }
  if (tls) SSL_shutdown(tls), SSL_free(tls);
  shutdown(socket, SHUT_RDWR);
  close(socket);
}

// A key and a certificate that signs itself, good for an hour.
void Server::make_certificate() {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), 3600);
  X509_set_pubkey(x, key);
  X509_NAME* const name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(x, name);
  for (const auto& [nid, value] : {std::pair{NID_subject_alt_name, "IP:127.0.0.1"}, {NID_basic_constraints, "CA:TRUE"}}) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(x, key, EVP_sha256());
  context_ = SSL_CTX_new(TLS_server_method());
  SSL_CTX_use_certificate(context_, x);
  SSL_CTX_use_PrivateKey(context_, key);
  BIO* const memory = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(memory, x);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory, &text);
  certificate_.assign(text, static_cast<std::size_t>(size));
  BIO_free(memory);
  X509_free(x);
  EVP_PKEY_free(key);
}

}  // namespace glossa::test
