"""Is this a Vietnamese syllable? Vietnamese is written syllable by syllable, and only some seven thousand exist.

That makes spelling the best evidence of an encoding: a wrong guess almost never yields syllables. The rules are those of
the orthography (Quy định về chính tả tiếng Việt, 1980): an onset, a rhyme, a tone; a rhyme that ends in a stop takes only
the acute or the dot below; c, g, ng become k, gh, ngh before e, ê, i.
"""

import re
import unicodedata
from functools import lru_cache

TONES = {"\u0300", "\u0301", "\u0303", "\u0309", "\u0323"}
STOP_TONES = {"", "\u0301", "\u0323"}
ONSETS = "b c ch d đ g gh gi h k kh l m n ng ngh nh p ph q r s t th tr v x".split()  # noqa: SIM905
BEFORE_FRONT = {"c", "g", "ng"}
"""Onsets that are not written before e, ê, i (`gi` aside)."""
ONLY_BEFORE_FRONT = {"k", "gh", "ngh"}
LABIALS = {"b", "m", "p", "ph", "v"}
GLIDES = ("oa", "oă", "oe", "uâ", "uê", "uơ", "uy")
"""Rhymes that begin with a rounded glide: c writes them with q, labials do not take them (`buýt` and `voan` are borrowed)."""
RHYMES = frozenset(
    """
    a ac ach ai am an ang anh ao ap at au ay ă ăc ăk ăm ăn ăng ăp ăt â âc âm ân âng âp ât âu ây
    e ec em en eng eo ep et ê êch êm ên ênh êp êt êu i ia ich iêc iêm iên iêng iêp iêt iêu im in inh ip it iu
    o oa oac oach oai oam oan oang oanh oao oap oat oay oăc oăm oăn oăng oăt oc oe oen oeo oet oi om on ong ooc oong op ot
    ô ôc ôi ôm ôn ông ôp ôt ơ ơi ơm ơn ơp ơt
    u ua uân uâng uât uây uc uê uêch uên uênh ui um un ung uô uôc uôi uôm uôn uông uôp uôt uơ uơi up ut uy uya uych uyên uyêt uynh uyt uyp uyu uyn
    ư ưa ưc ưi ưm ưn ưng ươ ươc ươi ươm ươn ương ươp ươt ươu ưt ưu y yêm yên yêng yêt yêu
    ua uan uang uai uay uao uac uat uăn uăt uăng uăc uanh uach ue ueo uet uen
    """.split()  # noqa: SIM905 — the last line is written after q
)
AFTER_Q = tuple(r for r in RHYMES if r.startswith("u"))
WORD = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f]+[^\W\d_]*)*")


def words(text: str) -> list[str]:
    """The words of a text: runs of letters with their combining marks."""
    return WORD.findall(text)


@lru_cache(maxsize=50_000)
def is_syllable(word: str) -> bool:
    """Whether ``word`` (any case, composed or not) can be a Vietnamese syllable."""
    marks = unicodedata.normalize("NFD", word.lower())
    tones = [c for c in marks if c in TONES]
    if len(tones) > 1:
        return False
    plain = unicodedata.normalize("NFC", "".join(c for c in marks if c not in TONES))
    return any(_fits(onset, plain[len(onset) :], tones[0] if tones else "") for onset in ("", *ONSETS) if plain.startswith(onset))


def _fits(onset: str, rhyme: str, tone: str) -> bool:
    if onset == "gi" and (not rhyme or rhyme[0] in "êe"):
        rhyme = "i" + rhyme if ("i" + rhyme) in RHYMES else rhyme
    if rhyme not in RHYMES:
        return False
    front = rhyme[0] in "eêiy"
    if onset in BEFORE_FRONT and rhyme[0] in "eêi" and not (onset == "g" and rhyme[0] == "i"):
        return False
    if onset in ONLY_BEFORE_FRONT and not front:
        return False
    if onset in LABIALS | {"c"} and rhyme.startswith(GLIDES):
        return False
    if onset == "q" and rhyme not in AFTER_Q:
        return False
    return tone in STOP_TONES or not rhyme.endswith(("c", "ch", "p", "t"))
