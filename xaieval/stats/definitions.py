"""What the numbers mean that are no score of one map: win rates, intervals, tests, the queue's."""

from __future__ import annotations

from xaieval.defining import Definition

_TWICE = "Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1:386"

_TABLE = (
    Definition(
        key="win_rate",
        label="Win rate",
        formula="[1 / n] Σ_i w_i , w_i = 1 / m",
        symbols="n: images that take part; w: a method's share of the win on an image; m: methods "
        "tied for its best score",
        words="The mean over images of a method's share of the win. The competing methods share "
        "one win per image; baselines do not compete.",
        tie_rule="Scores within 10⁻⁹ of the best share the win equally; project_iml gives it to "
        "the first of its list (“Equal scores: first”).",
        left_out="Images without a mask, those on which no method has a score and, unless all "
        "images are asked for, those the model classifies wrongly. A missing score loses to any "
        "number.",
        range="0 to 1",
        better="higher",
        chance="Methods that win by luck get one over their number.",
        source="project_iml",
    ),
    Definition(
        key="spread",
        label="Mean ± standard deviation",
        formula="x̄ ± √[[1 / S] Σ_s (x_s − x̄)^2]",
        symbols="S: training seeds; x: the number of each seed",
        words="Over training seeds: the mean, and the population standard deviation (divided by "
        "S, as published), which says how much the training alone moves the number.",
        left_out="Seeds without an image that takes part.",
        source="project_iml",
    ),
    Definition(
        key="interval",
        label="95 % interval, two-way bootstrap",
        formula="[Σ_[s , i] u_s v_i x_[s i]] / [Σ_[s , i] u_s v_i]",
        symbols="u, v: how often each seed and each image is drawn; x: the number of a seed and "
        "image",
        words="The same test images recur under every seed, so seeds and images are drawn anew "
        "independently, 2000 times; the interval holds the middle 95 %, widened for few seeds.",
        source=_TWICE,
    ),
    Definition(
        key="wilson",
        label="Wilson interval",
        formula="[p + z^2 / [2n] ± z √[p (1 − p) / n + z^2 / [4n^2]]] / [1 + z^2 / n]",
        symbols="p: win rate; n: images of all seeds together; z: 1.96",
        words="The 95 % interval of a share of n images. It takes images as independent: under "
        "several seeds the same images recur, so it is the least uncertainty there is.",
        source="Wilson 1927, JASA 22:209",
    ),
    Definition(
        key="balanced_accuracy",
        label="Balanced accuracy",
        formula="[1 / C] Σ_c [n_[c , right] / n_c]",
        symbols="C: classes; n: images of a class",
        words="The mean over classes of the share that the model classifies rightly: rare classes "
        "count as much as frequent ones.",
        range="0 to 1",
        better="higher",
        chance="One over the number of classes.",
        source="Brodersen et al. 2010",
    ),
    Definition(
        key="accuracy",
        label="Accuracy",
        formula="n_right / n",
        symbols="n: images",
        words="The share of images that the model classifies rightly.",
        range="0 to 1",
        better="higher",
    ),
    Definition(
        key="confidence",
        label="Confidence",
        formula="max_c p_c",
        symbols="p: softmax over the classes",
        words="The probability that the model gives to the class it predicts. It is not "
        "calibrated: 0.9 need not be right nine times in ten.",
        range="0 to 1",
    ),
    Definition(
        key="misalignment",
        label="Misalignment",
        formula="1 − [s − low] / [high − low]",
        symbols="s: the method's score; low, high: the score's ends",
        words="How far the shown score is from its best value, from 0 (perfect) to 1.",
        left_out="Images without a score have none.",
        range="0 to 1",
        better="lower",
    ),
    Definition(
        key="disagreement",
        label="Disagreement",
        formula="max_m s_m − min_m s_m",
        symbols="s: scores of the competing methods, from 0 to 1",
        words="How far the competing methods are apart on an image: the range of their scores.",
        left_out="Methods without a score do not count; fewer than two have no disagreement.",
        range="0 to 1",
        chance="0 where all methods score the same.",
    ),
    Definition(
        key="surprise",
        label="Surprise",
        formula='"confidence" · "misalignment" · "disagreement"',
        words="Orders the queue of failures: high where the model is sure, the heatmap lies beside "
        "the mask, and the methods do not agree.",
        left_out="Images without one of the three have none and stand last.",
        range="0 to 1",
        source="this package",
    ),
    Definition(
        key="pattern",
        label="Shared Interest pattern",
        formula="",
        words="One of eight cases by three scores of the binarised map (IoU, saliency coverage, "
        "ground-truth coverage) and by whether the prediction is right. They overlap, so the first "
        "that fits counts: IoU high, saliency coverage high, ground-truth coverage high, IoU low; "
        "else the image is unassigned.",
        source="Boggust et al. 2022 (Shared Interest), section 4",
    ),
    Definition(
        key="falsification_rate",
        label="Falsification rate (FR)",
        formula="[1 / n] Σ_i f_i",
        symbols="n: images; f: 1 where the map is falsified",
        words="The share of images whose map is falsified: hiding its low pixels changes the "
        "output as much as hiding its high ones. With all pixels of each set it mostly measures "
        "their areas; the area-matched rule is the one for conclusions.",
        range="0 to 1",
        better="lower",
        source="defined in the docs",
    ),
    Definition(
        key="kendall",
        label="Kendall's τ",
        formula="[n_c − n_d] / √[(n_p − t_a) (n_p − t_b)]",
        symbols="n_c, n_d: pairs in the same and in opposite order; n_p: all pairs; t: pairs tied "
        "in either ranking",
        words="How much two rankings of the methods agree: 1 the same order, 0 none, −1 reversed.",
        left_out="A ranking with all methods tied has none.",
        range="−1 to 1",
        source="Kendall 1945 (τ-b)",
    ),
    Definition(
        key="correlation",
        label="Correlation",
        formula="[Σ_i (x_i − x̄) (y_i − ȳ)] / √[Σ_i (x_i − x̄)^2 Σ_i (y_i − ȳ)^2]",
        words="How closely two numbers go together along a line. Over few points even a large one "
        "is often chance: the p-value and the number of points stand beside it.",
        range="−1 to 1",
        source="Pearson 1895; Spearman's ρ is the same of the ranks",
    ),
    Definition(
        key="friedman",
        label="Friedman test",
        formula="χ^2 = [[12 b] / [k (k + 1)]] Σ_j (r_j − [k + 1] / 2)^2",
        symbols="b: blocks (seeds or images); k: methods; r: mean rank of a method",
        words="Do the methods' mean ranks differ by more than chance? Small p: at least one does.",
        source="Friedman 1937; Demšar 2006, JMLR 7:1",
    ),
    Definition(
        key="critical_difference",
        label="Critical difference (Nemenyi)",
        formula="q √[[k (k + 1)] / [6b]]",
        symbols="q: Studentised range at 5 %, over √2; k: methods; b: blocks",
        words="Two methods whose mean ranks are nearer than this are not told apart at 5 %, all "
        "pairs compared at once. A bar joins them.",
        source="Nemenyi 1963; Demšar 2006, JMLR 7:1",
    ),
    Definition(
        key="wilcoxon",
        label="Wilcoxon signed-rank test, Holm's correction",
        formula="W = Σ_i sgn(d_i) r_i",
        symbols="d: paired differences of two methods; r: ranks of their sizes",
        words="Is one method's score higher than another's on the same blocks? The p-values of all "
        "pairs are corrected together (Holm 1979).",
        source="Wilcoxon 1945; Holm 1979",
    ),
    Definition(
        key="n",
        label="n",
        formula="",
        words="Images that take part, per training seed. What is left out is counted beside it, by "
        "reason; nothing is dropped silently. Groups with fewer than ten images are marked.",
    ),
    Definition(
        key="survival",
        label="Does the winner survive?",
        formula="[1 / V] Σ_v s_v",
        symbols="V: variants of the measurement; s: 1 where the same method has the highest mean "
        "win rate",
        words="The win rates are computed again with one choice of the measurement changed at a "
        "time: pooling, K, threshold, ties, target, upsampling, mask, score. A winner that changes "
        "with such a choice is a winner of the choice.",
        range="0 to 1",
        source="this package",
    ),
)

NUMBERS: dict[str, Definition] = {found.key: found for found in _TABLE}
"""Key -> definition, of every shown number that is no score of a map."""
