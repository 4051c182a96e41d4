// torch_file.h -- the files of torch.save (.bin, .pt, .pth): a zip archive with a pickle that says what there
// is, and an entry for each block of memory ("storage"). Nothing of the pickle is run (pickle.h).
//
// The tensors are those of a state dict, a dict from names to tensors. It is looked for under the keys
// "state_dict", "model_state_dict" and "model" of the dict that was saved, in this order, and then that dict
// is it. What is beside it, and what is in it and no tensor, is passed over and noted. If all names begin
// with "module.", as torch.nn.DataParallel makes them, they are given without it.
//
// Several tensors may share a storage. A tensor whose elements do not follow one another has strides; one
// that repeats elements may have limits.tensor_expansion times as many as its storage.
#pragma once
#include <functional>
#include <string_view>

#include "base/file.h"
#include "base/limits.h"
#include "checkpoint/tensor_table.h"

namespace glossa {

// Reads and checks everything but the elements. Error(torch_file) that says what the file is instead, as for
// the formats of torch.save before PyTorch 1.6; Error(count) and Error(size) beyond the limits.
TensorTable read_torch_file(Bytes file, std::string_view origin, const Limits& limits = {});
// Error(torch_file) unless every entry of the archive has its checksum.
void check_torch_file_sums(Bytes file, std::string_view origin);

// Writes a state dict, an OrderedDict in the order given, that torch.load(weights_only=True) reads. Tensors
// that share their memory share a storage. The same tensors give the same bytes.
void write_torch_file(const std::function<void(Bytes)>& write, const NamedTensors& tensors);
// The same of tensors that are made one by one, each with a storage of its own.
void write_torch_file(const std::function<void(Bytes)>& write, const std::vector<TensorPlan>& plans,
                      const TensorMaker& make);
// The same into a file that appears whole or not at all.
void save_torch_file(const fs::path& path, const NamedTensors& tensors);

}  // namespace glossa
