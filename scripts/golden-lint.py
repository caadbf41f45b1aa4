"""Writes test/zoo/fixtures/lint/golden.json: small model files of real programs, gzipped and in base64, for the tests and the fuzzer of the linter.

    /usr/bin/python3 scripts/golden-lint.py        (Debian: python3-torch python3-numpy python3-h5py)

Loading the files named evil* runs `true`; nothing here loads them.
"""
import base64, collections, datetime, gzip, io, json, os, pickle, struct, tarfile, tempfile, zipfile
import h5py, numpy as np, torch

FILES = {}
torch.manual_seed(1)


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def net():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Flatten(), torch.nn.Linear(8, 3))


def saved(name, write):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        write(path)
        FILES[name] = open(path, "rb").read()


DATA = {"a": [1, 2.5, "x", b"y", (1, 2), {3}, -7, 10**30, True, None], "n": np.arange(3), "s": np.float32(1.5),
        "o": collections.OrderedDict(a=1), "d": datetime.date(2020, 1, 2), "long": "z" * 3000}
for protocol in range(6):
    FILES[f"data{protocol}.pkl"] = pickle.dumps(DATA, protocol)
    FILES[f"evil{protocol}.pkl"] = pickle.dumps(Evil(), protocol)
FILES["plain.pkl"] = pickle.dumps({"w": [0.5] * 50, "labels": [f"class {i}" for i in range(30)]}, 4)

model = net()
saved("state.pt", lambda p: torch.save(model.state_dict(), p))
saved("state-old.pt", lambda p: torch.save(model.state_dict(), p, _use_new_zipfile_serialization=False))
saved("whole.pt", lambda p: torch.save(model, p))
saved("whole-old.pt", lambda p: torch.save(model, p, _use_new_zipfile_serialization=False))
saved("evil.pt", lambda p: torch.save({"state": model.state_dict(), "x": Evil()}, p))
saved("checkpoint.pth", lambda p: torch.save({"model": model.state_dict(), "optimizer": torch.optim.Adam(model.parameters()).state_dict(), "epoch": 3,
                                              "parameter": model[0].weight, "half": torch.zeros(2).half(), "bf": torch.zeros(2).bfloat16(), "size": torch.Size([1, 2])}, p))
saved("script.pt", lambda p: torch.jit.save(torch.jit.script(model), p))

saved("a.npy", lambda p: np.save(p, np.arange(6.0).reshape(2, 3)))
saved("record.npy", lambda p: np.save(p, np.zeros(2, [("a", "<f4"), ("b", "<i2", (3,))])))
saved("evil.npy", lambda p: np.save(p, np.array([Evil(), None], object)))
saved("a.npz", lambda p: np.savez(p, x=np.zeros(3), y=np.ones((2, 2), "i4")))
saved("packed.npz", lambda p: np.savez_compressed(p, x=np.zeros(3000), y=np.arange(300)))
saved("evil.npz", lambda p: np.savez(p, x=np.zeros(3), y=np.array([Evil()], object)))


def keras(path, layers, versions=("earliest", "latest"), attribute="model_config", fixed=False):
    config = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    with h5py.File(path, "w", libver=versions) as f:
        text = json.dumps(config)
        f.attrs["keras_version"] = "2.11.0"
        f.attrs["backend"] = "tensorflow"
        f.attrs[attribute] = np.bytes_(text) if fixed else text.encode("utf8")
        f.attrs["training_config"] = json.dumps({"loss": "categorical_crossentropy", "metrics": ["accuracy"], "optimizer_config": {"class_name": "Adam", "config": {"lr": 0.001}}}).encode("utf8")
        group = f.create_group("model_weights/dense/dense")
        group.create_dataset("kernel:0", data=np.zeros((4, 3), "f4"))
        group.attrs["weight_names"] = [b"dense/kernel:0"]


DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 3, "activation": "relu", "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}}}}
LAMBDA = {"class_name": "Lambda", "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None}}}}
NESTED = {"class_name": "Functional", "config": {"name": "inner", "layers": [DENSE, {"class_name": "TimeDistributed", "config": {"layer": LAMBDA}}]}}
saved("keras.h5", lambda p: keras(p, [DENSE] * 3))
saved("keras-fixed.h5", lambda p: keras(p, [DENSE], fixed=True))
saved("keras-new.h5", lambda p: keras(p, [DENSE] * 2, ("latest", "latest")))
saved("lambda.h5", lambda p: keras(p, [DENSE, LAMBDA]))
saved("lambda-nested.h5", lambda p: keras(p, [DENSE, NESTED]))
saved("lambda-new.h5", lambda p: keras(p, [DENSE, NESTED], ("latest", "latest")))
saved("custom.h5", lambda p: keras(p, [DENSE, {"class_name": "MyLayer", "registered_name": "my_package>MyLayer", "module": "my_package.layers", "config": {}}]))


def dense_attributes(path):
    with h5py.File(path, "w", libver="latest") as f:
        for i in range(40):
            f.attrs[f"a{i}"] = i
        f.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [LAMBDA]}}).encode()


saved("dense-attributes.h5", dense_attributes)


def weights(path, userblock=0):
    with h5py.File(path, "w", userblock_size=userblock) as f:
        f.create_dataset("layers/dense/vars/0", data=np.zeros((4, 3), "f4"))


saved("weights.h5", weights)
saved("userblock.h5", lambda p: weights(p, 512))


def keras_zip(path, layers):
    inner = tempfile.NamedTemporaryFile(suffix=".h5")
    weights(inner.name)
    with zipfile.ZipFile(path, "w") as z:
        when = (2020, 1, 1, 0, 0, 0)
        z.writestr(zipfile.ZipInfo("metadata.json", when), json.dumps({"keras_version": "3.0.0", "date_saved": "2024-01-01@00:00:00"}))
        config = {"module": "keras", "class_name": "Sequential", "registered_name": None, "config": {"name": "s", "layers": layers},
                  "compile_config": {"optimizer": {"module": "keras.optimizers", "class_name": "Adam", "config": {}, "registered_name": None}, "loss": "mse"}}
        z.writestr(zipfile.ZipInfo("config.json", when), json.dumps(config))
        z.writestr(zipfile.ZipInfo("model.weights.h5", when), open(inner.name, "rb").read())


def layer(name, module="keras.layers", registered=None, **config):
    return {"module": module, "class_name": name, "registered_name": registered, "config": config}


saved("model.keras", lambda p: keras_zip(p, [layer("InputLayer", batch_shape=[None, 4]), layer("Dense", units=3, kernel_initializer={"module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None}, "registered_name": None})]))
saved("lambda.keras", lambda p: keras_zip(p, [layer("Dense", units=3), layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEAAAA="}})]))
saved("module.keras", lambda p: keras_zip(p, [layer("Dense", units=3), {"module": "os", "class_name": "system", "config": "true", "registered_name": "system"}]))
saved("get-file.keras", lambda p: keras_zip(p, [{"module": "keras.utils", "class_name": "get_file", "config": {}, "registered_name": "get_file"}]))


def safetensors(tensors, metadata=None, pad=0):
    header, body = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode() + b" " * pad
    return struct.pack("<Q", len(text)) + text + body


FILES["two.safetensors"] = safetensors({"a": ("F32", [2, 3], bytes(24)), "b": ("BF16", [4], bytes(8)), "empty": ("I64", [0, 5], b""), "scalar": ("U8", [], b"\1")}, {"format": "pt"}, 5)
FILES["none.safetensors"] = safetensors({})
FILES["tar.pt"] = (lambda out: (tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT).close(), bytes(257) + b"ustar" + bytes(250))[1])(io.BytesIO())


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(no, value):
    if isinstance(value, int):
        return varint(no << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(no << 3 | 2) + varint(len(value)) + value


def caffe(layers, old=False):
    return field(1, "net") + b"".join(field(2 if old else 100, one) for one in layers)


CONV = field(1, "conv") + field(2, "Convolution") + field(3, "data") + field(4, "conv") + field(7, field(5, bytes(16)))
FILES["net.caffemodel"] = caffe([CONV] * 2)
FILES["python.caffemodel"] = caffe([CONV, field(1, "p") + field(2, "Python") + field(130, field(1, "my_layer") + field(2, "Layer"))])
FILES["old.caffemodel"] = caffe([field(2, "data") + field(4, "conv") + field(5, 4) + field(6, field(5, bytes(8))), field(4, "out") + field(5, 10)], old=True)


def saved_model(ops, functions=()):
    node = lambda op: field(1, op.lower()) + field(2, op)
    graph = b"".join(field(1, node(op)) for op in ops) + field(2, b"".join(field(1, field(1, field(1, "f")) + field(3, node(op))) for op in functions))
    return field(1, 1) + field(2, field(1, field(4, "serve")) + field(2, graph))


FILES["saved_model.pb"] = saved_model(["Placeholder", "MatMul", "SaveV2", "RestoreV2"], ["Relu"])
FILES["evil-saved_model.pb"] = saved_model(["Placeholder"], ["Relu", "WriteFile"])


def gguf(pairs, tensors=(), version=3):
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, kind, data in pairs:
        out += text(key) + struct.pack("<I", kind) + data
    for i, name in enumerate(tensors):
        out += text(name) + struct.pack("<IQQIQ", 2, 4, 2, 0, 32 * i)
    out += bytes(-len(out) % 32)
    return out + bytes(32 * len(tensors))


T = lambda s: struct.pack("<Q", len(s)) + s.encode()
FILES["plain.gguf"] = gguf([("general.architecture", 8, T("llama")), ("llama.block_count", 4, struct.pack("<I", 1)), ("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 3) + T("a") + T("b") + T("c"))], ["token_embd.weight", "output.weight"])
FILES["chat.gguf"] = gguf([("general.architecture", 8, T("llama")), ("tokenizer.chat_template", 8, T("{{ messages }}"))])

target = os.path.join(os.path.dirname(__file__), "..", "test", "zoo", "fixtures", "lint", "golden.json")
with open(target, "w") as out:
    json.dump({name: base64.b64encode(gzip.compress(data, 9, mtime=0)).decode() for name, data in sorted(FILES.items())}, out, indent=1)
    out.write("\n")
print(len(FILES), "files,", os.path.getsize(target), "bytes")
