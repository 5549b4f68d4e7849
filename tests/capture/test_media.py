"""What does not belong on a line goes to files once, and comes back as what it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from llmwatch import capture, faults

PICTURE = np.zeros((4, 4, 3), "u1")


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return tmp_path / "media"


@pytest.fixture(scope="module", autouse=True)
def _offline() -> Any:
    patch = pytest.MonkeyPatch()
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SILENT": "true",
    }.items():
        patch.setenv(name, value)
    yield
    patch.undo()


def round_trip(value: Any, media: Path) -> Any:
    with faults.strict():
        return capture.decode(orjson.loads(capture.encode(value, media=media)), media=media)


def files(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


ARRAYS = [
    np.array([1.5, np.nan, -np.inf], "f4"),
    np.array(["a", "bc"]),
    np.array(3),
    np.zeros((0, 3)),
    np.arange(6).reshape(2, 3).T,
    np.array([1, 2], ">i4"),
    np.array([True]),
    np.array([1 + 2j]),
    np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    np.array([b"x"]),
    np.array([1], "f2"),
    np.array(["2020", "NaT"], "M8[D]"),
    np.zeros((64, 64, 3), "u1"),
    np.random.default_rng(0).random(5000),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_an_array_keeps_its_values_type_and_shape(array: Any, media: Path) -> None:
    restored = round_trip({"array": array}, media)["array"]
    np.testing.assert_array_equal(restored, array)
    assert restored.dtype == array.dtype


def test_an_array_of_objects_is_a_list_and_nothing_is_pickled(media: Path) -> None:
    assert round_trip(np.array([1, "a", {2}], object), media) == [1, "a", [2]]
    assert not media.exists()


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "I", "HSV", "I;16"]
)
def test_a_picture_keeps_its_mode_and_pixels(mode: str, media: Path) -> None:
    picture = Image.frombytes(
        mode, (8, 2), bytes(range(200))[: len(Image.new(mode, (8, 2)).tobytes())]
    )
    if mode == "P":
        picture.putpalette(list(range(256)) * 3)
    restored = round_trip(picture, media)
    assert (restored.mode, restored.size) == (mode, (8, 2))
    assert restored.tobytes() == picture.tobytes()


@pytest.mark.parametrize("dtype", ["i2", "i4", "u1", "f4", "f8", "i8"])
def test_sound_keeps_its_samples_rate_and_caption(dtype: str, media: Path) -> None:
    sound = capture.Audio(np.arange(20).reshape(10, 2).astype(dtype), 16000, "hello")
    restored = round_trip(sound, media)
    np.testing.assert_array_equal(restored.data, sound.data)
    assert (restored.data.dtype, restored.rate, restored.caption) == (
        sound.data.dtype,
        16000,
        "hello",
    )


def test_sound_is_a_wav_file_that_others_read(media: Path) -> None:
    import wave

    round_trip(capture.Audio(np.arange(20, dtype="i2").reshape(10, 2), 16000), media)
    with wave.open(str(files(media)[0])) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (16000, 2, 10)


@pytest.mark.parametrize("size", [10, 5000])
def test_typed_bytes_keep_their_type(size: int, media: Path) -> None:
    restored = round_trip(capture.Bytes(b"x" * size, type="application/pdf"), media)
    assert (restored, restored.type) == (b"x" * size, "application/pdf")
    assert round_trip([bytearray(b"y" * size), memoryview(b"z")], media) == [b"y" * size, b"z"]


BASE = pd.DataFrame(
    {"a": [1, 2], "b": [1.5, None], "c": ["x", None], "t": pd.to_datetime(["2020-01-01", None])}
)
FRAMES = {
    "plain": BASE,
    "named index": BASE.set_index("a"),
    "objects": pd.DataFrame({"o": [{"a": 1}, [2]]}),
    "tuple labels": pd.DataFrame({("a", 1): [1], ("b", 2): [2]}),
    "same labels": pd.DataFrame([[1, 2]], columns=["a", "a"]),
    "many levels": pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["p", "q"])
    ),
    "categories": pd.DataFrame(
        {"c": pd.Categorical(["a", "b"]), "n": pd.array([1, None], "Int64")}
    ),
    "zones": pd.DataFrame({"z": pd.to_datetime(["2020", "2021"], utc=True)}),
    "long index": pd.DataFrame({"a": range(5000)}, index=[f"k{n}" for n in range(5000)]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_pandas_frame_comes_back_equal(name: str, media: Path) -> None:
    pd.testing.assert_frame_equal(round_trip(FRAMES[name], media), FRAMES[name])


def test_series_and_polars_frames_come_back_equal(media: Path) -> None:
    series = pd.Series([1, 2], name="q")
    pd.testing.assert_series_equal(round_trip(series, media), series)
    frame = pl.DataFrame({"a": [1, None], "s": ["x", "y"], "l": [[1], [2]]})
    assert round_trip(frame, media).equals(frame)
    assert round_trip(frame["a"], media).equals(frame["a"])


def test_a_figure_comes_back_as_a_picture(media: Path) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), dpi=50)
    figure.subplots().plot([1, 2])
    assert round_trip(figure, media).size == (50, 50)


def test_wandb_media_come_back_as_what_they_were(media: Path, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb")
    (tmp_path / "a.wav").write_bytes(b"RIFFxx")
    (tmp_path / "v.mp4").write_bytes(b"video")
    image = round_trip(wandb.Image(PICTURE, caption="cap"), media)
    audio = round_trip(wandb.Audio(str(tmp_path / "a.wav"), caption="said"), media)
    video = round_trip(wandb.Video(str(tmp_path / "v.mp4"), caption="seen"), media)
    html = wandb.Html("<h1>é</h1>")
    assert [type(x) for x in (image, audio, video)] == [wandb.Image, wandb.Audio, wandb.Video]
    assert [x._caption for x in (image, audio, video)] == ["cap", "said", "seen"]
    assert np.array(image.image).shape == PICTURE.shape
    assert Path(video._path).read_bytes() == b"video"
    assert round_trip(html, media).html == html.html


def test_the_boxes_of_a_wandb_image_are_kept(media: Path) -> None:
    wandb = pytest.importorskip("wandb")
    position = {"minX": 0.1, "maxX": 0.2, "minY": 0.3, "maxY": 0.4}
    boxes = {"p": {"box_data": [{"position": position, "class_id": 1}], "class_labels": {1: "cat"}}}
    restored = round_trip(wandb.Image(PICTURE, boxes=boxes), media)._boxes["p"]
    assert restored._val[0]["position"] == position
    assert restored._class_labels[1] == "cat"


@pytest.mark.parametrize("rows", [2, 1000])
def test_a_wandb_table_keeps_its_cells(rows: int, media: Path) -> None:
    wandb = pytest.importorskip("wandb")
    table = wandb.Table(columns=["n", "text"], data=[[n, "x" * 9] for n in range(rows)])
    restored = round_trip(table, media)
    assert (restored.columns, restored.data) == (table.columns, table.data)


def test_a_long_table_names_the_files_of_its_cells(media: Path) -> None:
    wandb = pytest.importorskip("wandb")
    cells: list[list[Any]] = [[n, wandb.Image(PICTURE, caption=str(n))] for n in range(60)]
    recorded = orjson.loads(
        capture.encode(wandb.Table(columns=["n", "i"], data=cells), media=media)
    )
    assert sorted([recorded["file"], *recorded["uses"]]) == sorted(
        str(path.relative_to(media)) for path in files(media)
    )
    assert capture.decode(recorded, media=media).data[7][1]._caption == "7"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what weave imports
def test_weave_media_come_back_as_what_they_were(media: Path) -> None:
    weave = pytest.importorskip("weave")
    text = weave.Content.from_text("hello", metadata={"_type": 3})
    paper = weave.Content.from_bytes(b"%PDF-1.4", extension="pdf")
    assert round_trip([text, paper], media) == [text, paper]
    assert round_trip(weave.Audio(b"abc", "wav"), media).data == b"abc"
    assert round_trip(weave.Markdown("# hi"), media).markup == "# hi"


def test_recording_media_imports_neither_wandb_nor_weave(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, numpy; from llmwatch import capture;"
        "capture.encode([numpy.zeros(5000), object()], media=pathlib.Path(sys.argv[1]));"
        "assert not {'wandb', 'weave', 'pandas', 'polars', 'duckdb', 'PIL'} & sys.modules.keys()"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, cwd=Path(__file__).parents[2]
    )


def test_the_same_content_is_kept_once_and_privately(media: Path) -> None:
    round_trip([b"x" * 5000, b"x" * 5000], media)
    (file,) = files(media)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == media.stat().st_mode & 0o777 == 0o700


def test_a_file_cut_short_by_a_crash_is_written_again(media: Path) -> None:
    round_trip(b"x" * 5000, media)
    files(media)[0].write_bytes(b"")
    assert round_trip(b"x" * 5000, media) == b"x" * 5000


def test_a_missing_file_comes_back_as_a_placeholder_that_can_be_logged_again(media: Path) -> None:
    recorded = orjson.loads(capture.encode({"b": b"x" * 5000}, media=media))
    files(media)[0].unlink()
    restored = capture.decode(recorded, media=media)["b"]
    assert restored == capture.Media("bytes", missing="the file is not there")
    assert round_trip(restored, media).missing == "the file is not there"
    with pytest.raises(FileNotFoundError):
        restored.read()


@pytest.mark.parametrize(
    "ref", ["../../etc/passwd", "/etc/passwd", "aa/../bb.png", 3, "aa/" + "a" * 64]
)
def test_a_reference_never_leads_out_of_the_media_directory(ref: object, media: Path) -> None:
    for kind in ("bytes", "ndarray", "unheard-of"):
        restored = capture.decode({"_type": kind, "file": ref}, media=media)
        assert getattr(restored, "path", None) is None


def test_a_link_in_the_media_directory_is_not_followed(media: Path, tmp_path: Path) -> None:
    ref = "aa/" + "a" * 64 + ".bin"
    (tmp_path / "secret").write_text("secret")
    (media / "aa").mkdir(parents=True)
    (media / ref).symlink_to(tmp_path / "secret")
    assert capture.decode({"_type": "bytes", "file": ref}, media=media).path is None


def test_a_pickle_in_the_media_directory_is_not_loaded(media: Path) -> None:
    array = np.array([{"a": 1}], object)
    ref = "aa/" + "a" * 64 + ".npy"
    (media / "aa").mkdir(parents=True)
    with (media / ref).open("wb") as file:
        np.save(file, array, allow_pickle=True)
    restored = capture.decode({"_type": "ndarray", "file": ref}, media=media)
    assert "allow_pickle" in restored.missing


@pytest.mark.parametrize(
    "kind", ["int", "bytes", "ndarray", "image", "audio", "frame", "wandb.Table", "weave.Content"]
)
def test_a_marker_that_says_nothing_is_a_placeholder(kind: str, media: Path) -> None:
    assert isinstance(capture.decode({"_type": kind}, media=media), capture.Media)


def test_a_media_directory_that_cannot_be_written_costs_the_file_and_not_the_row(
    tmp_path: Path,
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the directory should be")
    faults.clear()
    recorded = orjson.loads(capture.encode({"kept": 1, "b": b"x" * 5000}, media=blocked))
    assert recorded["kept"] == 1
    assert "Error" in recorded["b"]["missing"]
    assert faults.counts()["a media file could not be written"].lost >= 1
    faults.clear()
    assert blocked.is_file()
