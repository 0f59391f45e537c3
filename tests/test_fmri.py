"""The four tests over regions equal cross_validate, transfer and Pruner; planted regions are told from noise."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
import xarray
from scipy.stats import ttest_rel

import secateur as sc
from secateur.regions import four_tests, nodes, paired_tests, scores

N, D = (36, 40), 60
REGIONS, PEOPLE = ("object", "scene", "noise"), 6
PLANTED = {"object": slice(0, 12), "scene": slice(12, 30)}


def image_set(n, seed, people=tuple("abcdef"), noise=1.0):
    """An embedding; dissimilarities (region, subject, pair) of two planted regions and of noise; behaviour."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D)) * rng.uniform(0.5, 1.5, D)
    P = n * (n - 1) // 2
    values = rng.normal(size=(len(REGIONS), len(people), P)) * noise
    for r, region in enumerate(REGIONS):
        if region in PLANTED:
            values[r] -= 4 * sc.similarity(X[:, PLANTED[region]])
    regions = xarray.DataArray(
        values, dims=("region", "subject", "pair"), coords={"region": list(REGIONS), "subject": list(people)},
        attrs={"kind": "dissimilarity"},
    )  # fmt: skip
    behaviour = xarray.DataArray(values[0] - values[1], dims=("subject", "pair"), attrs={"kind": "dissimilarity"})
    return X, regions, behaviour


@pytest.fixture(scope="module")
def study():
    X, regions, behaviour = zip(*(image_set(n, seed) for seed, n in enumerate(N)))
    layers = {"penultimate": X, "final": tuple(np.logaddexp(0, x[:, ::-1]) for x in X)}
    return layers, regions, behaviour


@pytest.fixture(scope="module")
def result(study):
    layers, regions, behaviour = study
    return sc.regions.four_tests(layers, regions, behaviour, seed=3, repeats=2, supervise="subject", progress=False)


def in_order(values, one):
    """(T, ...) results of region × subject targets as (region, subject, ...)."""
    return values.reshape(one.sizes["region"], one.sizes["subject"], *values.shape[1:])


def rows_of(table, test, layer):
    return table[(table.test == test) & (table.layer == layer)].set_index("region")


class TestByHand:
    """Bit for bit what the library's own functions find, one test and set at a time."""

    @pytest.mark.parametrize("layer", ["penultimate", "final"])
    @pytest.mark.parametrize("a", [0, 1])
    def test_behaviour(self, study, result, layer, a):
        layers, regions, behaviour = study
        X = layers[layer][a]
        pruner = sc.Pruner(kind="dissimilarity").fit(X, behaviour[a].values.mean(axis=0))
        one = result.sel(test="behaviour", layer=layer).isel(set=a)
        for region in REGIONS:
            for subject in "abcdef":
                goal = regions[a].sel(region=region, subject=subject)
                there = one.sel(region=region, subject=subject)
                assert there.full.item() == sc.alignment(X, goal)
                assert there.pruned.item() == sc.alignment(X, goal, subset=pruner.support_)
                assert there.n_kept.item() == pruner.n_features_

    @pytest.mark.parametrize("a", [0, 1])
    def test_within(self, study, result, a):
        layers, regions, _ = study
        for layer, spaces in layers.items():
            whole = sc.cross_validate(spaces[a], regions[a], seed=3, repeats=2, curves=False, progress=False)
            one = result.sel(layer=layer).isel(set=a)
            for mine, theirs in (("full", "full_test"), ("pruned", "pruned_test"), ("n_kept", "n_kept")):
                np.testing.assert_array_equal(one[f"{mine}_fold"], in_order(whole[theirs].values, regions[a]))
                mean = in_order(whole[theirs].values, regions[a]).mean(axis=-1)
                np.testing.assert_allclose(one[mine].sel(test="within"), mean, atol=1e-14)

    @pytest.mark.parametrize("a", [0, 1])
    def test_across_and_upper_bound(self, study, result, a):
        layers, regions, _ = study
        for layer, spaces in layers.items():
            one = result.sel(layer=layer)
            for r, region in enumerate(REGIONS):
                for s in range(PEOPLE):
                    goal, other = regions[a][r, s], regions[1 - a][r, s]
                    pruner = sc.Pruner().fit(spaces[a], goal)
                    bound = one.sel(test="upper_bound", region=region).isel(set=a, subject=s)
                    across = one.sel(test="across", region=region).isel(set=1 - a, subject=s)
                    np.testing.assert_array_equal(
                        one[f"kept_{layer}"].sel(region=region).isel(set=a, subject=s), pruner.support_
                    )
                    assert bound.n_kept.item() == across.n_kept.item() == pruner.n_features_
                    assert bound.pruned.item() == pytest.approx(pruner.alignment_, abs=1e-13)
                    assert bound.pruned.item() == sc.alignment(spaces[a], goal, subset=pruner.support_)
                    assert across.full.item() == sc.alignment(spaces[1 - a], other)
                    assert across.pruned.item() == sc.alignment(spaces[1 - a], other, subset=pruner.support_)

    def test_within_supervised_by_the_mean_is_a_transfer(self, study):
        layers, regions, behaviour = study
        result = four_tests(layers["final"], regions, behaviour, seed=1, progress=False)
        assert result.layer.values.tolist() == ["features"]
        for a in (0, 1):
            means = regions[a].values.mean(axis=1)
            among = np.concatenate([means, regions[a].values.reshape(-1, means.shape[-1])])
            moved = sc.transfer(layers["final"][a], among, kind="dissimilarity", seed=1, progress=False)
            for r in range(len(REGIONS)):
                own = slice(len(REGIONS) + r * PEOPLE, len(REGIONS) + (r + 1) * PEOPLE)
                np.testing.assert_array_equal(
                    result.pruned_fold.isel(layer=0, set=a, region=r), moved.pruned_test.isel(source=r, target=own)
                )
                kept = result.n_kept_fold.isel(layer=0, set=a, region=r)
                np.testing.assert_array_equal(kept, np.broadcast_to(moved.n_kept.isel(source=r), kept.shape))
            one = result.isel(layer=0, set=1 - a).sel(test="across")
            for r in range(len(REGIONS)):
                pruner = sc.Pruner(kind="dissimilarity").fit(layers["final"][a], means[r])
                np.testing.assert_array_equal(
                    one.pruned.isel(region=r),
                    sc.alignment(layers["final"][1 - a], regions[1 - a][r], subset=pruner.support_),
                )

    def test_missing_pairs_and_subjects_that_lack_a_region(self, study):
        layers, regions, _ = study
        holed = [one.copy() for one in regions]
        holed[0][0, 2, 5:40] = np.nan
        holed[1][1, 4] = np.nan
        result = four_tests(layers["final"], holed, supervise="subject", progress=False)
        assert result.test.values.tolist() == ["within", "across", "upper_bound"]
        pruner = sc.Pruner().fit(layers["final"][0], holed[0][0, 2])
        bound = result.sel(test="upper_bound").isel(layer=0)
        assert bound.pruned[0, 0, 2].item() == sc.alignment(layers["final"][0], holed[0][0, 2], subset=pruner.support_)
        lost = result.isel(layer=0, region=1, subject=4)
        for name in ("full", "pruned", "n_kept"):
            assert lost[name].isel(set=1).isnull().all()
            assert lost[name].sel(test=["within", "upper_bound"]).isel(set=0).notnull().all()
            assert lost[name].sel(test="across").isel(set=0).isnull()  # nothing to learn from
        others = result.drop_isel(subject=4)
        assert others.pruned.notnull().all()
        assert rows_of(paired_tests(result, "subjects"), "across", "features").n["scene"] == PEOPLE - 1

    def test_set_and_subject_forms(self, study, result):
        """A mapping of matrices, rsatoolbox RDMs and named sets give what DataArrays give; people are matched."""
        rsatoolbox = pytest.importorskip("rsatoolbox")
        layers, regions, behaviour = study
        named = {"old": dict(zip(REGIONS, regions[0].values)), "new": dict(zip(REGIONS, regions[1].values))}
        named["new"]["scene"] = rsatoolbox.rdm.RDMs(regions[1].values[1])
        spaces = {"old": layers["penultimate"][0], "new": layers["penultimate"][1]}
        again = four_tests(
            {"penultimate": spaces}, named, {"old": behaviour[0], "new": behaviour[1]}, kind="dissimilarity", seed=3,
            repeats=2, supervise="subject", progress=False,
        )  # fmt: skip
        assert again["set"].values.tolist() == ["old", "new"]
        for name in ("full", "pruned", "n_kept"):
            np.testing.assert_array_equal(again[name].sel(layer="penultimate"), result[name].sel(layer="penultimate"))
        turned = regions[1].isel(subject=slice(None, None, -1), region=[2, 0, 1]).transpose("subject", "pair", "region")
        terms = {"seed": 3, "repeats": 2, "supervise": "subject", "progress": False}
        same = four_tests(layers, [regions[0], turned], behaviour, **terms)
        for name in ("full", "pruned", "n_kept", "kept_final"):
            np.testing.assert_allclose(same[name], result[name], atol=1e-13)


class TestPlanted:
    def test_regions_are_found_and_noise_is_not(self, result):
        gain = (result.pruned - result.full).mean("subject")
        planted = gain.sel(region=["object", "scene"], test=["within", "across"], layer="penultimate")
        assert (planted > 0.05).all()
        assert abs(result.pruned.sel(region="noise", test=["within", "across"]).mean("subject")).max() < 0.06
        # without validation noise gains as well: that is why it is only a bound
        assert (gain.sel(region="noise", test="upper_bound") > 0.1).all()
        # behaviour has the object region's features, and the scene region's turned round
        behaviour = gain.sel(test="behaviour", layer="penultimate")
        assert (behaviour.sel(region="object") > 0.1).all()
        assert (behaviour.sel(region="scene") < -0.1).all()

    def test_kept_features_are_the_planted_ones(self, result):
        kept = result.kept_penultimate.mean(["set", "subject"])
        for region, planted in PLANTED.items():
            inside = np.zeros(D, bool)
            inside[planted] = True
            assert kept.sel(region=region).values[inside].mean() > 0.6
            assert kept.sel(region=region).values[~inside].mean() < 0.1

    def test_the_paired_tests_tell_them_apart(self, result):
        table = paired_tests(result, "subjects")
        for test in ("within", "across"):
            rows = rows_of(table, test, "penultimate")
            assert (rows.loc[["object", "scene"], "p_fdr"] < 0.01).all()
            assert (rows.loc[["object", "scene"], "d"] > 1).all()
            assert rows.loc["noise", "p"] > 0.01


class TestTables:
    def test_scores_and_nodes(self, result):
        table = scores(result, "across", "final")
        assert table.index.tolist() == ["Set 1", "Set 1 pruned", "Set 2", "Set 2 pruned"]
        assert table.columns.tolist() == list(REGIONS)
        one = result.sel(test="across", layer="final", set="2", region="scene")
        assert table.loc["Set 2 pruned", "scene"] == pytest.approx(one.pruned.mean().item(), abs=1e-15)
        assert table.loc["Set 2", "scene"] == pytest.approx(one.full.mean().item(), abs=1e-15)
        counts = nodes(result)
        assert counts.index.tolist() == ["Set 1", "Set 2"]
        kept = result.kept_final.sel(set="1", region="object").sum("feature_final").mean().item()
        assert counts.loc["Set 1", "object"] == pytest.approx(kept)

    def test_over_regions(self, result):
        table = paired_tests(result)
        z = {space: np.arctanh(result[space].sel(test="within", layer="final")).mean("subject") for space in
             ("full", "pruned")}  # fmt: skip
        reference = ttest_rel(z["pruned"].values.ravel(), z["full"].values.ravel(), alternative="greater")
        row = table[(table.test == "within") & (table.layer == "final")].iloc[0]
        gap = (z["pruned"] - z["full"]).values.ravel()
        assert (row.df, row.n) == (5, 6)
        np.testing.assert_allclose(
            [row.t, row.p, row.d], [reference.statistic, reference.pvalue, gap.mean() / gap.std(ddof=1)], rtol=1e-10
        )
        assert row.improved == (scores(result, "within", "final").diff().iloc[[1, 3]] > 0).to_numpy().sum()

    def test_over_subjects(self, result):
        table = paired_tests(result, "subjects")
        z = {space: np.arctanh(result[space].sel(test="across", layer="final")).mean("set") for space in
             ("full", "pruned")}  # fmt: skip
        for region, pair in (
            ("scene", [z[space].sel(region="scene") for space in ("pruned", "full")]),
            ("all regions", [z[space].mean("region") for space in ("pruned", "full")]),
        ):
            reference = ttest_rel(*pair, alternative="greater")
            row = rows_of(table, "across", "final").loc[region]
            np.testing.assert_allclose([row.t, row.p], [reference.statistic, reference.pvalue], rtol=1e-10)
            assert row.df == PEOPLE - 1
        three = rows_of(table, "across", "final").drop("all regions")
        np.testing.assert_allclose(three.p_fdr, sc.benjamini_hochberg(three.p).adjusted)

    def test_a_group_mean_has_no_subjects_to_test(self, study):
        layers, regions, behaviour = study
        means = [one.mean("subject", keep_attrs=True) for one in regions]
        result = four_tests(layers, means, behaviour, progress=False)
        assert result.subject.values.tolist() == ["group"]
        assert paired_tests(result, "subjects").p.isna().all()
        assert paired_tests(result).p.notna().all()

    def test_it_can_be_saved(self, result, tmp_path):
        result.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
        with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
            xarray.testing.assert_identical(back.load(), result)


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"supervise": "both"}, "supervise must be 'subject' or 'mean', got 'both'"),
            ({"X": [np.zeros((5, 3))]}, "X of layer 'features' must have one entry for each of the two image"),
            ({"X": {"a": np.zeros((5, 3)), "b": np.zeros((5, 3)), "c": 1}}, "X must have embeddings of two image sets"),
            ({"regions": None}, "regions must have one entry for each of the two image sets, got NoneType"),
            ({"behaviour": [1, 2, 3]}, "behaviour must have one entry for each of the two image sets, got 3"),
        ],
    )
    def test_sentences(self, study, change, words):
        layers, regions, behaviour = study
        given = {"X": layers["final"], "regions": regions, "behaviour": behaviour, **change}
        with pytest.raises(ValueError, match="^" + words):
            four_tests(**given, progress=False)

    def test_features_and_stimuli_must_agree(self, study):
        layers, regions, _ = study
        X = layers["final"]
        with pytest.raises(ValueError, match="X must have the same features on both image sets, got 60 and 59"):
            four_tests((X[0], X[1][:, 1:]), regions)
        with pytest.raises(ValueError, match="X must hold the same stimuli in every layer, got 36 in layer 'a' and 40"):
            four_tests({"a": X, "b": X[::-1]}, regions)
        frames = [[pandas.DataFrame(x, [f"{w}{i}" for i in range(len(x))]) for x in X] for w in "rs"]
        with pytest.raises(ValueError, match="got 'r0' in layer 'a' and 's0' in layer 'b' of set '1'"):
            four_tests({"a": frames[0], "b": frames[1]}, regions)
        columns = [pandas.DataFrame(x, columns=[f"{w}{i}" for i in range(D)]) for x, w in zip(X, "rs")]
        with pytest.raises(ValueError, match="X must have the same features on both image sets, got 'r0' and 's0'"):
            four_tests(columns, regions)
        with pytest.raises(ValueError, match=r"^behaviour of set '2': target must have dims"):
            four_tests(X, regions, [regions[0][0], regions[0][0]])
        with pytest.raises(ValueError, match="without a slash, got 'a/b'"):
            four_tests({"a/b": X}, regions)

    def test_regions_must_agree(self, study):
        layers, regions, _ = study
        X = layers["final"]
        with pytest.raises(ValueError, match="regions must be the same in both image sets, got no 'noise' in set '2'"):
            four_tests(X, [regions[0], regions[1].drop_sel(region="noise")])
        with pytest.raises(TypeError, match=r"regions of set '1' must be a mapping or a DataArray with dims \(region"):
            four_tests(X, [regions[0].values, regions[1]])
        with pytest.raises(ValueError, match="regions of set '1', 'a': target must have shape"):
            four_tests(X, [{"a": np.zeros(7)}, {"a": np.zeros(7)}])
        pairs = regions[0].values
        with pytest.raises(ValueError, match="as many subjects in every region"):
            four_tests(X, [{"a": pairs[0], "b": pairs[1, :4]}] * 2, kind="similarity")
        gone = regions[0].copy()
        gone[2] = np.nan
        with pytest.raises(ValueError, match="a subject with values in every region, got none in 'noise'"):
            four_tests(X, [gone, regions[1]])
        twice = regions[0].assign_coords(subject=list("aacdef"))
        with pytest.raises(ValueError, match="regions of set '1' must name each subject once, got 'a'"):
            four_tests(X, [twice, regions[1]])

    def test_other_people_in_the_second_set(self, study):
        layers, regions, _ = study
        others = regions[1].assign_coords(subject=list("uvwxyz"))
        with pytest.raises(ValueError, match="pass supervise='mean'"):
            four_tests(layers["final"], [regions[0], others], supervise="subject")
        result = four_tests(layers["final"], [regions[0], others], progress=False)
        assert result.sizes["subject"] == 12
        assert result.pruned.notnull().sum("subject").values.tolist() == np.full((3, 1, 2, 3), 6).tolist()
        assert paired_tests(result, "subjects").n.eq(12).all()

    def test_tables_name_what_there_is(self, result):
        with pytest.raises(ValueError, match="test must be one of 'behaviour', 'within', 'across', 'upper_bound'; got"):
            scores(result, "between")
        with pytest.raises(ValueError, match="layer must be one of 'penultimate', 'final'; got 'conv'"):
            nodes(result, "conv")
        with pytest.raises(ValueError, match="over must be 'regions' or 'subjects', got 'sets'"):
            paired_tests(result, "sets")
