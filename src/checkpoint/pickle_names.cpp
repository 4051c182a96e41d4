#include "checkpoint/pickle_names.h"

namespace glossa {
namespace {

constexpr auto kDict = PickleCallable::dict, kTensor = PickleCallable::tensor, kValue = PickleCallable::value;
constexpr PickleCallable kCallables[] = {
    {"collections.OrderedDict", 0, 0, kDict},
    {"collections.defaultdict", 0, 1, kDict},
    {"torch._utils._rebuild_tensor_v2", 6, 7, kTensor},
    {"torch._utils._rebuild_tensor_v3", 7, 8, kTensor},
    {"torch._utils._rebuild_parameter", 3, 3, kTensor},
    {"torch._utils._rebuild_parameter_with_state", 4, 4, kTensor},
    {"torch._tensor._rebuild_from_type_v2", 4, 4, kTensor},
    {"torch.Size", 1, 1, kValue},
    {"torch.device", 1, 2, kValue},
    {"torch.serialization._get_layout", 1, 1, kValue},
    // Bytes, sets and complex numbers in protocols that have no opcodes for them.
    {"_codecs.encode", 2, 2, kValue},
    {"builtins.bytearray", 0, 2, kValue},
    {"__builtin__.bytearray", 0, 2, kValue},
    {"builtins.set", 0, 1, kValue},
    {"__builtin__.set", 0, 1, kValue},
    {"builtins.frozenset", 0, 1, kValue},
    {"__builtin__.frozenset", 0, 1, kValue},
    {"builtins.complex", 2, 2, kValue},
    {"__builtin__.complex", 2, 2, kValue},
    // Values that training scripts keep beside their tensors.
    {"collections.Counter", 0, 1, kValue},
    {"numpy.dtype", 1, 3, kValue},
    {"numpy.core.multiarray.scalar", 1, 2, kValue},
    {"numpy._core.multiarray.scalar", 1, 2, kValue},
    {"numpy.core.multiarray._reconstruct", 3, 3, kValue},
    {"numpy._core.multiarray._reconstruct", 3, 3, kValue},
    {"numpy.core.numeric._frombuffer", 4, 4, kValue},
    {"numpy._core.numeric._frombuffer", 4, 4, kValue},
    {"pathlib.PosixPath", 0, 64, kValue},
    {"pathlib.WindowsPath", 0, 64, kValue},
    {"datetime.datetime", 1, 10, kValue},
    {"datetime.timedelta", 3, 3, kValue},
    // An instance as protocol 1 makes it: of a class, its base and the base's state.
    {"copyreg._reconstructor", 3, 3, kValue},
    {"copy_reg._reconstructor", 3, 3, kValue},
};

struct Refused {
  unsigned char opcode;
  std::string_view name;
};
constexpr Refused kRefused[] = {
    {'0', "POP"},
    {'1', "POP_MARK"},
    {'2', "DUP"},
    {'F', "FLOAT"},

    {'P', "PERSID"},
    {'S', "STRING"},
    {'T', "BINSTRING"},
    {'U', "SHORT_BINSTRING"},
    {'V', "UNICODE"},
    {'d', "DICT"},
    {'g', "GET"},
    {'i', "INST"},
    {'l', "LIST"},
    {'o', "OBJ"},
    {'p', "PUT"},
    {0x80, "PROTO"},
    {0x82, "EXT1"},
    {0x83, "EXT2"},
    {0x84, "EXT4"},
    {0x97, "NEXT_BUFFER"},
    {0x98, "READONLY_BUFFER"},
};

}  // namespace

const PickleCallable* pickle_callable(std::string_view name) {
  for (const PickleCallable& callable : kCallables)
    if (callable.name == name) return &callable;
  return nullptr;
}

std::string_view refused_pickle_opcode(unsigned char opcode) {
  for (const Refused& refused : kRefused)
    if (refused.opcode == opcode) return refused.name;
  return "";
}

}  // namespace glossa
