"""Which domains belong to a registry or a hosting company, so that no customer may set cookies for all the others.

A compact stand-in for the public suffix list (publicsuffix.org): single labels, the second levels that country registries
sell below, and the shared domains where map servers are usually hosted. What it does not know it takes for a site.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Sold under nearly every country code.
_EVERYWHERE = _words("ac co com edu gob gouv gov govt gub mil net org")

# Country code -> what else is sold there.
_BY_COUNTRY = {
    country: _words(labels)
    for country, labels in {
        "ae": "sch",
        "at": "gv or",
        "au": "asn id",
        "br": "adm adv agr am art arq bio blog cnt ecn eco eng esp etc far flog fm fot fst ggf imb ind inf jor jus leg lel mat"
        " med mp mus nom not ntr odo ppg pro psc psi rec slg srv tmp trd tur tv vet vlog wiki zlg",
        "cr": "ed fi go or sa",
        "es": "nom",
        "fr": "asso nom prd tm",
        "hk": "idv",
        "hu": "info",
        "id": "biz desa go my or ponpes sch web",
        "il": "idf k12 muni",
        "in": "firm gen ind nic res",
        "jp": "ad ed go gr lg ne or aichi akita aomori chiba ehime fukui fukuoka fukushima gifu gunma hiroshima hokkaido hyogo"
        " ibaraki ishikawa iwate kagawa kagoshima kanagawa kochi kumamoto kyoto mie miyagi miyazaki nagano nagasaki nara"
        " niigata oita okayama okinawa osaka saga saitama shiga shimane shizuoka tochigi tokushima tokyo tottori toyama"
        " wakayama yamagata yamaguchi yamanashi",
        "ke": "go info me mobi ne or sc",
        "kr": "es go hs kg ms ne or pe re sc busan chungbuk chungnam daegu daejeon gangwon gwangju gyeongbuk gyeonggi"
        " gyeongnam incheon jeju jeonbuk jeonnam seoul ulsan",
        "my": "name",
        "no": "dep fhs folkebibl fylkesbibl herad idrett kommune museum priv stat vgs",
        "nz": "cri geek gen health iwi kiwi maori parliament school",
        "pl": "aid agro atm auto biz gmina info mail miasta nom pc powiat priv rel shop sklep sos szkola targi turystyka",
        "pt": "int nome publ",
        "ru": "int msk nnov nov spb",
        "se": "fh fhsk fhv komforb kommunalforbund komvux lanbib naturbruksgymn parti pp press tm",
        "sg": "per",
        "th": "go in mi or",
        "tr": "av bbs bel biz dr gen info k12 kep name pol tel tsk tv web",
        "tw": "club ebiz game idv",
        "tz": "go hotel info me mobi ne or sc tv",
        "ua": "in kharkov kherson kiev kyiv lviv odesa odessa",
        "ug": "go ne or sc",
        "uk": "judiciary ltd me mod nhs nic parliament plc police sch",
        "us": "dni fed isa kids nsn",
        "za": "agric alt grondar law ngo nic nis nom school tm web",
    }.items()
}
# Countries where every two-letter second level is a state or province, and where every second level is for sale.
_STATES = frozenset(("br", "ca", "cn", "us"))
_EVERY_SECOND_LEVEL = _words("bd ck er fk jm kh mm np pg")
_SCHOOLS_AND_LIBRARIES = _words("cc dst k12 lib pvt state tec")

# Second levels of generic domains that are sold or let to strangers.
_SHARED = _words(
    """
    ae.org br.com cn.com co.com co.net com.de com.se de.com eu.com eu.org gb.com gb.net gr.com hu.com hu.net in.net jp.net
    jpn.com kr.com mex.com no.com qc.com ru.com sa.com se.com se.net uk.com uk.net us.com us.org uy.com za.com
    amplifyapp.com appspot.com awsapprunner.com azure-api.net azureedge.net azurefd.net azurestaticapps.net
    azurewebsites.net blogspot.com cloudapp.net cloudfront.net cloudfunctions.net elasticbeanstalk.com firebaseapp.com
    fly.dev github.io gitlab.io herokuapp.com lambda-url.on.aws netlify.app ngrok-free.app ngrok.app ngrok.io onrender.com
    pages.dev run.app trafficmanager.net vercel.app web.app web.core.windows.net blob.core.windows.net workers.dev
    amazonaws.com cloudapp.azure.com azurecontainer.io
    qld.gov.au sa.gov.au tas.gov.au vic.gov.au wa.gov.au
    """
)
# Below these, one more label is a region and not a customer; below that label stand customers again.
_REGIONAL = frozenset(("cloudapp.azure.com", "azurecontainer.io", "elasticbeanstalk.com", "azurestaticapps.net", "run.app"))


def is_registry_suffix(domain: str) -> bool:
    """Whether `domain` (lower case, no dots at its ends) is shared by strangers, so that no cookie may be set for all of it."""
    labels = domain.split(".")
    if len(labels) < 2:
        return True
    if domain in _SHARED or domain.partition(".")[2] in _REGIONAL or _is_shared_cloud_name(labels):
        return True
    country, second = labels[-1], labels[-2]
    if len(country) != 2:
        return False
    if len(labels) == 2:
        return _is_second_level(second, country)
    return country == "us" and len(labels) == 3 and len(second) == 2 and labels[0] in _SCHOOLS_AND_LIBRARIES


def _is_second_level(label: str, country: str) -> bool:
    if label in _EVERYWHERE or country in _EVERY_SECOND_LEVEL:
        return True
    return label in _BY_COUNTRY.get(country, ()) or (country in _STATES and len(label) == 2)


def _is_shared_cloud_name(labels: list[str]) -> bool:
    """Amazon's names, with region and service: `compute-1.amazonaws.com`, `eu-west-1.elb.amazonaws.com`."""
    return labels[-2:] == ["amazonaws", "com"] and len(labels) <= 4
