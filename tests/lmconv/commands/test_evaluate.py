"""`lmconv eval` and `lmconv average`: what they print is what the library computes, failures are one line."""

import json

import numpy as np

from lmconv.checkpoints import checkpoint
from tests import tolerance


def test_average(run, trained, tmp_path):
    folder = trained["tiny_cifar10"]
    paths = sorted(folder.glob("step_*.safetensors"))
    assert len(paths) == 3
    text = run("average", *paths, "-o", tmp_path / "mean.safetensors").stdout
    assert text == f"{tmp_path / 'mean.safetensors'}: mean of 3 checkpoints, steps 1, 2, 3\n"
    mean = checkpoint.load(tmp_path / "mean.safetensors")
    assert mean.training["averaged"] == [1, 2, 3]
    assert "exists: use --force" in run("average", *paths, "-o", tmp_path / "mean.safetensors", code=1).stderr
    run("average", *paths, "-o", tmp_path / "mean.safetensors", "--force")
    assert "no checkpoint" in run("average", folder / "none", "-o", tmp_path / "x", code=1).stderr
    run("average", "-o", tmp_path / "x", code=2)
    assert not (tmp_path / "x").exists()


def test_a_slim_checkpoint_does_all_that_weights_are_for(run, trained, ramps, tmp_path):
    last, slim = trained["tiny_cifar10"] / "last.safetensors", tmp_path / "slim.safetensors"
    run("average", last, "-o", slim, "--slim")
    assert slim.stat().st_size < last.stat().st_size / 4
    whole, found = checkpoint.load(last), checkpoint.load(slim)
    assert (found.step, found.curve, found.network) == (whole.step, whole.curve, whole.network) and whole.curve
    for name, tensor in whole.ema.items():
        assert found.ema[name].dtype == tensor.dtype
        tolerance.assert_close(found.ema[name], tensor, depth=2, number="float16")
    one, other = (json.loads(run("eval", path, ramps[3], "-q", "--json").stdout) for path in (last, slim))
    nats = [about["results"][0]["likelihood"]["ensemble"]["nats"] for about in (one, other)]
    assert abs(nats[0] - nats[1]) < 0.01 * nats[0]
    options = ["--steps", 2, "--batch", 2, "--holdout", 2, "--samples", 0, "--height", 6, "--width", 5, "-q"]
    same = ["--filters", 4, "--resnets", 1]
    run("train", "tiny_cifar10", "--data", ramps[3], "-o", tmp_path / "on", "--init", slim, *options, *same)


def test_eval_of_binary_images_names_both_conventions(run, trained, ramps):
    last = trained["tiny_mnist_binary"] / "last.safetensors"
    about = json.loads(run("eval", last, ramps[1], "-q", "--json").stdout)
    assert about["step"] == 3
    conventions = [result["data"]["binarisation"] for result in about["results"]]
    assert conventions == ["stochastic", "threshold"]
    for result in about["results"]:
        about_data = result["data"]
        assert (about_data["images"], about_data["split"], len(about_data["digest"])) == (7, "test", 64)
        found = result["likelihood"]
        assert [row["order"] for row in found["orders"]] == ["s_curve:1", "s_curve:4"]  # those trained on
        ensemble, coded = found["ensemble"]["nats"], found["coded"]["nats"]
        assert ensemble <= coded <= ensemble + np.log(2) + tolerance.bound(10) * coded
        assert found["values"] == 30
    text = run("eval", last, ramps[1], "-q", "--batch", 2).stdout
    assert "ramps1.npz, test: 7 images 6x5x1, stochastic binarisation, seed 0\n" in text
    assert "ramps1.npz, test: 7 images 6x5x1, threshold binarisation\n" in text
    first = about["results"][0]["likelihood"]
    assert f"{first['ensemble']['nats']:.3f}" in text and "average of 2" in text and "best of 2, coded" in text


def test_eval_of_chosen_orders(run, trained, ramps):
    last = trained["tiny_cifar10"] / "last.safetensors"
    one = json.loads(run("eval", last, ramps[3], "--variants", 0, "--images", 5, "-q", "--json").stdout)["results"]
    assert len(one) == 1 and one[0]["data"]["images"] == 5 and one[0]["data"]["binarisation"] is None
    found = one[0]["likelihood"]
    assert len(found["orders"]) == 1 and found["ensemble"]["nats"] == found["orders"][0]["nats"]
    many = json.loads(
        run(
            "eval",
            last,
            ramps[3],
            "--order",
            "raster",
            "--order",
            "gilbert",
            "--variants",
            "0,2",
            "--split",
            "train",
            "-q",
            "--json",
        ).stdout
    )["results"][0]
    assert many["data"]["images"] == 20
    assert [row["order"] for row in many["likelihood"]["orders"]] == ["raster:0", "raster:2", "gilbert:0", "gilbert:2"]
    assert "average" not in run("eval", last, ramps[3], "--variants", 0, "-q").stdout


def test_eval_of_a_region(run, trained, ramps):
    last = trained["tiny_cifar10"] / "last.safetensors"
    result = json.loads(
        run("eval", last, ramps[3], "--region", "top", "--variants", "0,1,2,3,4", "-q", "--json").stdout
    )["results"][0]
    assert result["region"] == "top" and "likelihood" not in result
    assert [row["order"] for row in result["max_context"]["orders"]] == ["s_curve:1", "s_curve:3"]
    assert [row["order"] for row in result["adversarial"]["orders"]] == ["s_curve:0", "s_curve:2"]
    assert result["max_context"]["values"] == 3 * 5 * 3
    text = run("eval", last, ramps[3], "--region", "box=0,0,1,5", "-q").stdout
    assert "region box=0,0,1,5, max context\n" in text and "s_curve:1" in text and "adversarial" not in text
    text = run("eval", last, ramps[3], "--region", "centre", "-q").stdout
    assert "s_curve@centre:1" in text and "s_curve@centre:4" in text and "adversarial" not in text


def test_eval_that_cannot_be(run, trained, ramps, tmp_path):
    last = trained["tiny_cifar10"] / "last.safetensors"
    for arguments, message in (
        (["--region", "middle"], "there is no region 'middle'"),
        (["--region", "box=4,4,4,4"], "not inside an image"),
        (["--order", "spiral"], "there is no order 'spiral'"),
    ):
        assert message in run("eval", last, ramps[3], "-q", *arguments, code=1).stderr
    assert "holds grey images" in run("eval", last, ramps[1], "-q", code=1).stderr
    assert "there is no data set 'here'" in run("eval", last, "here", "-q", code=1).stderr
    (tmp_path / "text").write_text("hello")
    assert "is not an LMConv checkpoint" in run("eval", tmp_path / "text", ramps[3], code=1).stderr
    for arguments in (["--variants", 9], ["--binarisation", "dithered"], ["--images", 0]):
        run("eval", last, ramps[3], *arguments, code=2)


def test_eval_of_photographs(train, run, photographs, tmp_path):
    train("-q")
    last = tmp_path / "run" / "last.safetensors"
    about = json.loads(run("eval", last, photographs, "-q", "--json").stdout)
    assert [(row["name"], row["height"], row["width"]) for row in about["pictures"]] == [
        ("0.png", 64, 96),
        ("1.png", 64, 96),
    ]
    bits = [row["bits_per_subpixel"] for row in about["pictures"]]
    tolerance.assert_close(about["mean"], sum(bits) / 2, depth=3)
    tolerance.assert_close(about["mean_over_pixels"], sum(bits) / 2, depth=5)
    text = run("eval", last, photographs / "0.png", "-q").stdout
    assert text.startswith(f"{bits[0]:.4f}  0.png, 96 x 64\n") and "mean of 1 pictures, bits per subpixel" in text
    wrong = run("eval", last, photographs, "--region", "top", code=2).stderr
    assert "--region is not for checkpoints of the photo" in wrong
    assert "neither a folder nor a zip" in run("eval", last, tmp_path / "missing", code=1).stderr
