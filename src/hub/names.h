// names.h -- the names that the Hugging Face hub knows, checked: of models, revisions, files, commits and
// digests.
//
// All of them become parts of paths and addresses, so that what is no plain name is refused before it is
// used.
#pragma once
#include <string>
#include <string_view>

namespace glossa {

// ORG/NAME, and NAME alone for the oldest models. Parts have letters, digits, '-', '_' and '.' only.
struct RepositoryName {
  std::string organisation, name;  // the first may be ""

  // Error(bad_value) if it is none.
  static RepositoryName parse(std::string_view text);
  std::string text() const;    // "org/name"
  std::string folder() const;  // "models--org--name", of the cache
};

// ORG/NAME[:QUANT]: a model, and which quantisation of it.
struct ModelName {
  RepositoryName repository;
  std::string quant;  // "Q4_K_M", in capitals; "" for none

  static ModelName parse(std::string_view text);
  static bool is_one(std::string_view text);  // whether `parse` takes it
  std::string text() const;
};

// Error(bad_value) if `text` cannot be a branch, tag or commit: "main", "refs/pr/1".
void check_revision(std::string_view text);
// What is wrong with the name of a file in a repository, to be completed to a sentence; "" for nothing. Names
// are relative, with '/', and lead nowhere else.
std::string file_name_fault(std::string_view name);
bool is_commit(std::string_view text);  // 40 hexadecimal digits, small
bool is_digest(std::string_view text);  // of SHA-1 (git's name of a small file) or SHA-256

// With capitals in the place of a to z.
std::string upper(std::string_view text);

}  // namespace glossa
