"""Generate the Python stubs under ``libs/continuity/api`` when a proto changed since the last time.

``buf/validate/validate.proto`` is not on PyPI as a file: its serialized descriptor is read from protovalidate and
handed to protoc as a descriptor set, and its Python module is generated along with ours.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb  # the only place where the wheel keeps the descriptor

PROTOS = Path(__file__).resolve().parent
LIBS = PROTOS.parent / "libs"
API = LIBS / "continuity" / "api"
STAMP = API / ".stamp"


def main() -> None:
    """Generate, or do nothing when the stamp says that the stubs are current; ``--image FILE`` writes one for buf."""
    sources = sorted(PROTOS.glob("continuity/**/*.proto"))
    if sys.argv[1:2] == ["--image"]:
        write_image(Path(sys.argv[2]), [str(path.relative_to(PROTOS)) for path in sources])
        return
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, Path(__file__)])).hexdigest()
    if STAMP.exists() and STAMP.read_text() == stamp:
        return
    for folder in (API, LIBS / "buf"):
        shutil.rmtree(folder, ignore_errors=True)
    run_protoc(
        [
            f"--python_out={LIBS}",
            f"--grpc_python_out={LIBS}",
            f"--plugin=protoc-gen-mypy={Path(sys.executable).parent / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}",
            f"--mypy_out=quiet:{LIBS}",
            f"--mypy_grpc_out=quiet:{LIBS}",
            "buf/validate/validate.proto",
            *(str(path.relative_to(PROTOS)) for path in sources),
        ]
    )
    (API / "__init__.py").write_text('"""Generated from ``protos``; never edited."""\n')
    STAMP.write_text(stamp)
    print(f"generated the stubs of {len(sources)} protos", file=sys.stderr)


def imports() -> FileDescriptorSet:
    """Return the descriptors of every file that our protos import from elsewhere."""
    collected = FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, timestamp_pb2, field_mask_pb2):
        module.DESCRIPTOR.CopyToProto(collected.file.add())
    collected.file.append(validate_descriptor())
    return collected


def validate_descriptor() -> FileDescriptorProto:
    """Return the descriptor of ``buf/validate/validate.proto`` as protovalidate carries it."""
    return FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())


def write_image(target: Path, sources: list[str]) -> None:
    """Write the descriptors of our protos, comments and imports included: buf lints it without its registry."""
    run_protoc(["--include_imports", "--include_source_info", f"--descriptor_set_out={target}", *sources])


def run_protoc(arguments: list[str]) -> None:
    """Run protoc with our protos and what they import in sight."""
    with tempfile.TemporaryDirectory() as scratch:
        descriptors = Path(scratch) / "imports.binpb"
        descriptors.write_bytes(imports().SerializeToString())
        code = protoc.main(["protoc", f"--descriptor_set_in={descriptors}", f"-I{PROTOS}", *arguments])
    if code:
        sys.exit(f"protoc failed with exit code {code}")


if __name__ == "__main__":
    main()
