"""What methods paragraphs cite: how it reads in a sentence, and its BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from unicodedata import normalize

__all__ = ["REFERENCES", "Reference", "bibtex", "cited", "listed"]


_MARKS = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "^": "\u0302", "~": "\u0303", "v ": "\u030c"}
_ACCENT = re.compile(r"""\{\\(['`"^~]|v )(\w)\}""")  # {\'e}, as BibTeX has accents


@dataclass(frozen=True)
class Reference:
    """A publication.

    Attributes
    ----------
    short : as a sentence cites it, "Nili et al., 2014"
    kind : of BibTeX's entries
    fields : of the entry
    """

    short: str
    kind: str
    fields: dict[str, str]

    def line(self) -> str:
        """As a list of references has it."""
        of = self.fields
        names = _ACCENT.sub(lambda found: normalize("NFC", found[2] + _MARKS[found[1]]), of["author"]).split(" and ")
        more = len(names) > 6 or names[-1] == "others"
        people = "; ".join([name for name in names[:6] if name != "others"] + ["et al."] * more)
        where = of.get("journal") or of.get("booktitle") or of.get("note", "")
        issue = f", {of['volume']}" if "volume" in of else ""
        pages = f", {of['pages'].replace('--', '–')}" if "pages" in of else ""
        link = f". https://doi.org/{of['doi']}" if "doi" in of else f". {of['url']}" if "url" in of else ""
        return f"{people} ({of['year']}). {of['title'].replace('{', '').replace('}', '')}. {where}{issue}{pages}{link}"


def _article(short: str, author: str, title: str, journal: str, year: str, **more: str) -> Reference:
    return Reference(short, "article", {"author": author, "title": title, "journal": journal, "year": year, **more})


REFERENCES = {
    "tarigopula2023": _article(
        "Tarigopula et al., 2023",
        "Tarigopula, Priya and Fairhall, Scott L. and Bavaresco, Anna and Truong, Nhut and Hasson, Uri",
        "Improved prediction of behavioral and neural similarity spaces using pruned {DNNs}", "Neural Networks", "2023",
        volume="168", pages="89--104",
        url="https://www.sciencedirect.com/science/article/pii/S0893608023004690",
    ),
    "truong2024": Reference("Truong et al., 2024", "misc", {
        "author": "Truong, Nhut and Pesenti, Dario and Hasson, Uri",
        "title": "Explaining human comparisons using alignment-importance heatmaps", "year": "2024",
        "note": "arXiv:2409.16292", "doi": "10.48550/arXiv.2409.16292",
    }),
    "agrawal2019": Reference("Agrawal, 2019", "misc", {
        "author": "Agrawal, Aakash",
        "title": "Dissimilarity learning via {Siamese} network predicts brain imaging data", "year": "2019",
        "note": "arXiv preprint",
    }),
    "kriegeskorte2008": _article(
        "Kriegeskorte et al., 2008", "Kriegeskorte, Nikolaus and Mur, Marieke and Bandettini, Peter",
        "Representational similarity analysis – connecting the branches of systems neuroscience",
        "Frontiers in Systems Neuroscience", "2008", volume="2", pages="4", doi="10.3389/neuro.06.004.2008",
    ),
    "nili2014": _article(
        "Nili et al., 2014",
        "Nili, Hamed and Wingfield, Cai and Walther, Alexander and Su, Li and Marslen-Wilson, William and "
        "Kriegeskorte, Nikolaus",
        "A toolbox for representational similarity analysis", "PLoS Computational Biology", "2014", volume="10",
        pages="e1003553", doi="10.1371/journal.pcbi.1003553",
    ),
    "diedrichsen2021": _article(
        "Diedrichsen et al., 2021",
        "Diedrichsen, J{\\\"o}rn and Berlot, Eva and Mur, Marieke and Sch{\\\"u}tt, Heiko H. and Shahbazi, "
        "Mahdiyar and Kriegeskorte, Nikolaus",
        "Comparing representational geometries using whitened unbiased-distance-matrix similarity",
        "Neurons, Behavior, Data analysis, and Theory", "2021", volume="5",
    ),
    "peterson2018": _article(
        "Peterson et al., 2018", "Peterson, Joshua C. and Abbott, Joshua T. and Griffiths, Thomas L.",
        "Evaluating (and improving) the correspondence between deep neural networks and human representations",
        "Cognitive Science", "2018", volume="42", pages="2648--2669", doi="10.1111/cogs.12670",
    ),
    "jha2023": _article(
        "Jha et al., 2023", "Jha, Aditi and Peterson, Joshua C. and Griffiths, Thomas L.",
        "Extracting low-dimensional psychological representations from convolutional neural networks",
        "Cognitive Science", "2023", volume="47", pages="e13226", doi="10.1111/cogs.13226",
    ),
    "kaniuth2022": _article(
        "Kaniuth & Hebart, 2022", "Kaniuth, Philipp and Hebart, Martin N.",
        "Feature-reweighted representational similarity analysis: A method for improving the fit between computational "
        "models, brains, and behavior", "NeuroImage", "2022", volume="257", pages="119294",
        doi="10.1016/j.neuroimage.2022.119294",
    ),
    "schutt2023": _article(
        "Schütt et al., 2023",
        "Schütt, Heiko H. and Kipnis, Alexander D. and Diedrichsen, Jörn and Kriegeskorte, Nikolaus",
        "Statistical inference on representational geometries", "eLife", "2023", volume="12", pages="e82566",
        doi="10.7554/eLife.82566",
    ),
    "varma2006": _article(
        "Varma & Simon, 2006", "Varma, Sudhir and Simon, Richard",
        "Bias in error estimation when using cross-validation for model selection", "BMC Bioinformatics", "2006",
        volume="7", pages="91", doi="10.1186/1471-2105-7-91",
    ),
    "meinshausen2010": _article(
        "Meinshausen & Bühlmann, 2010", "Meinshausen, Nicolai and B{\\\"u}hlmann, Peter", "Stability selection",
        "Journal of the Royal Statistical Society: Series B", "2010", volume="72", pages="417--473",
    ),
    "shah2013": _article(
        "Shah & Samworth, 2013", "Shah, Rajen D. and Samworth, Richard J.",
        "Variable selection with error control: another look at stability selection",
        "Journal of the Royal Statistical Society: Series B", "2013", volume="75", pages="55--80",
    ),
    "pudil1994": _article(
        "Pudil et al., 1994", "Pudil, Pavel and Novovi{\\v c}ov{\\'a}, Jana and Kittler, Josef",
        "Floating search methods in feature selection", "Pattern Recognition Letters", "1994", volume="15",
        pages="1119--1125",
    ),
    "nadeau2003": _article(
        "Nadeau & Bengio, 2003", "Nadeau, Claude and Bengio, Yoshua", "Inference for the generalization error",
        "Machine Learning", "2003", volume="52", pages="239--281",
    ),
    "phipson2010": _article(
        "Phipson & Smyth, 2010", "Phipson, Belinda and Smyth, Gordon K.",
        "Permutation p-values should never be zero: calculating exact p-values when permutations are randomly drawn",
        "Statistical Applications in Genetics and Molecular Biology", "2010", volume="9", pages="39",
    ),
    "maris2007": _article(
        "Maris & Oostenveld, 2007", "Maris, Eric and Oostenveld, Robert",
        "Nonparametric statistical testing of {EEG}- and {MEG}-data", "Journal of Neuroscience Methods", "2007",
        volume="164", pages="177--190", doi="10.1016/j.jneumeth.2007.03.024",
    ),
    "benjamini1995": _article(
        "Benjamini & Hochberg, 1995", "Benjamini, Yoav and Hochberg, Yosef",
        "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
        "Journal of the Royal Statistical Society: Series B", "1995", volume="57", pages="289--300",
    ),
    "wu1994": Reference("Wu & Palmer, 1994", "inproceedings", {
        "author": "Wu, Zhibiao and Palmer, Martha", "title": "Verb semantics and lexical selection",
        "booktitle": "Proceedings of the 32nd Annual Meeting of the Association for Computational Linguistics",
        "year": "1994", "pages": "133--138",
    }),
    "miller1995": _article(
        "Miller, 1995", "Miller, George A.", "{WordNet}: a lexical database for {English}",
        "Communications of the ACM", "1995", volume="38", pages="39--41", doi="10.1145/219717.219748",
    ),
    "king2019": _article(
        "King et al., 2019", "King, Marcie L. and Groen, Iris I. A. and Steel, Adam and Kravitz, Dwight J. and "
        "Baker, Chris I.",
        "Similarity judgments and cortical visual responses reflect different properties of object and scene "
        "categories in naturalistic images", "NeuroImage", "2019", volume="197", pages="368--382",
        doi="10.1016/j.neuroimage.2019.04.079",
    ),
    "harris2020": _article(
        "Harris et al., 2020", "Harris, Charles R. and Millman, K. Jarrod and van der Walt, St{\\'e}fan J. and others",
        "Array programming with {NumPy}", "Nature", "2020", volume="585", pages="357--362",
        doi="10.1038/s41586-020-2649-2",
    ),
    "virtanen2020": _article(
        "Virtanen et al., 2020", "Virtanen, Pauli and Gommers, Ralf and Oliphant, Travis E. and others",
        "{SciPy} 1.0: fundamental algorithms for scientific computing in {Python}", "Nature Methods", "2020",
        volume="17", pages="261--272", doi="10.1038/s41592-019-0686-2",
    ),
    "pedregosa2011": _article(
        "Pedregosa et al., 2011", "Pedregosa, Fabian and Varoquaux, Ga{\\\"e}l and Gramfort, Alexandre and others",
        "Scikit-learn: machine learning in {Python}", "Journal of Machine Learning Research", "2011", volume="12",
        pages="2825--2830",
    ),
}  # fmt: skip


def cited(*keys: str) -> str:
    """References in brackets, as a sentence cites them."""
    return f"({'; '.join(REFERENCES[key].short for key in keys)})"


def listed(text: str) -> list[str]:
    """Keys of what a text cites, in the order of their first authors' names."""
    return sorted(key for key, one in REFERENCES.items() if one.short in text)


def bibtex(keys: Iterable[str]) -> str:
    """Entries, one below the other."""
    entries = []
    for key in keys:
        one = REFERENCES[key]
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in one.fields.items())
        entries.append(f"@{one.kind}{{{key},\n{lines}\n}}\n")
    return "\n".join(entries)
