"""Laws of readers' tokens: the file has one shape, and what is not sure of a token makes it none."""

from __future__ import annotations

import base64
import re
import secrets
from hashlib import md5

import pytest

from mirror_sync.domain.access.access_tokens import (
    OTHER_LINE,
    TOLD_TOKEN,
    AccessToken,
    AccessTokens,
    Badge,
    SecureLink,
    client_of,
    credential,
    digest_of,
    is_within,
    network,
    new_token,
)

NOW, BEFORE, LATER = "2026-06-01T00:00:00Z", "2026-05-31T23:59:59Z", "2026-06-01T00:00:01Z"
TOKEN = "hf_" + "a" * 37
PLAIN = AccessToken("ci", "dev", digest_of(TOKEN))
LINKED = AccessToken("ci-3", "dev", digest_of("y"), LATER, link=SecureLink("abcdEF12", "-_" * 11))
WHOLE = AccessToken("ci-2", "dev", digest_of("x"), LATER, ("10.0.0.0/8", "2001:db8::/32"), "alice@host", BEFORE, "bob")


def test_what_is_written_is_read_again_as_it_was() -> None:
    tokens = AccessTokens((PLAIN, LINKED, WHOLE))
    assert AccessTokens.decode(tokens.encode().encode()) == tokens
    assert AccessTokens.decode(AccessTokens().encode().encode()) == AccessTokens()


@pytest.mark.parametrize(
    "line",
    [
        "- {name: ci}",
        "tokens: [a]",
        "- {name: ci, role: dev, sha256: 12}",
        PLAIN.encode().strip().replace("}", ", networks: [10.0.0.0/8]}"),
        PLAIN.encode().strip().replace("}", ', networks: ["10.0.0.1/8"]}'),
        PLAIN.encode().strip().replace("}", ', expires: "tomorrow"}'),
        PLAIN.encode().strip() + " # mine",
        "version: 2",
        "é",
    ],
)
def test_one_line_of_another_shape_breaks_the_whole_file(line: str) -> None:
    with pytest.raises(ValueError, match=r"line|letters"):
        AccessTokens.decode((AccessTokens((PLAIN,)).encode() + line + "\n").encode())


def test_by_what_nginx_tells_a_token_is_a_comment_to_others_and_ends_with_the_token() -> None:
    tokens = AccessTokens((PLAIN, LINKED))
    others = [line for line in tokens.encode().splitlines() if not line.startswith("- ")]
    assert all(re.fullmatch(OTHER_LINE, line) for line in others)
    assert "abcdEF12" not in tokens.revoking("ci-3", NOW, "bob").encode()
    assert AccessTokens.decode(tokens.encode().replace("# nginx knows", "# n knows").encode()).every[1].link is None


def test_of_a_new_token_eight_letters_are_told_and_the_md5_of_the_header_that_brings_it() -> None:
    token = new_token(secrets.choice)
    link = SecureLink.of(token)
    digest = md5(f"Bearer {token}".encode(), usedforsecurity=False).digest()
    assert (link.told, base64.urlsafe_b64decode(link.md5 + "==")) == (token[3:11], digest)
    begins = re.compile(TOLD_TOKEN.replace("(?<", "(?P<"))
    found = begins.match(f"Bearer {token}")
    assert found is not None
    assert found["told_letters"] == link.told
    for other in (f"bearer {token}", f" Bearer {token}", f"Bearer {token[3:]}", "Bearer hf_short"):
        assert not begins.match(other), other


def test_a_token_that_stands_twice_is_none() -> None:
    assert AccessTokens((PLAIN, PLAIN)).of(TOKEN) is None
    assert AccessTokens((PLAIN,)).of(TOKEN) == PLAIN


@pytest.mark.parametrize(
    ("token", "client", "badge"),
    [
        (PLAIN, "192.0.2.1", Badge.HELD),
        (AccessToken("a", "other", "0" * 64), "192.0.2.1", Badge.ROLELESS),
        (AccessToken("a", "dev", "0" * 64, expires=NOW), "192.0.2.1", Badge.EXPIRED),
        (AccessToken("a", "dev", "0" * 64, expires=LATER), "192.0.2.1", Badge.HELD),
        (AccessToken("a", "dev", "0" * 64, networks=("10.0.0.0/8",)), "192.0.2.1", Badge.AWAY),
        (AccessToken("a", "dev", "0" * 64, networks=("10.0.0.0/8",)), "10.9.9.9", Badge.HELD),
        (AccessToken("a", "dev", "0" * 64, expires=LATER, revoked=BEFORE), "192.0.2.1", Badge.REVOKED),
    ],
)
def test_a_token_is_good_until_its_end_from_its_networks_for_a_role_that_there_is(
    token: AccessToken, client: str, badge: Badge
) -> None:
    found = token.badge(NOW, client, ["dev"])
    assert found.badge is badge
    assert found.role == ("dev" if badge is Badge.HELD else "")
    assert found.is_barred == (badge is not Badge.HELD)


def test_revoking_ends_all_of_a_name_and_changes_no_earlier_end() -> None:
    ended = AccessTokens((PLAIN, WHOLE)).revoking("ci", NOW, "bob")
    assert [one.revoked for one in ended.every] == [NOW, BEFORE]
    assert ended.revoking("ci", LATER, "eve") == ended


def test_the_last_address_that_no_trusted_server_has_is_who_asks() -> None:
    proxies = ("127.0.0.1/32", "10.1.0.0/16")
    assert client_of("192.0.2.1", "10.9.9.9", proxies) == "192.0.2.1"
    assert client_of("127.0.0.1", "203.0.113.5, 192.0.2.1, 10.1.0.7", proxies) == "192.0.2.1"
    assert client_of("127.0.0.1", "nonsense", proxies) == "127.0.0.1"
    assert client_of("127.0.0.1", "", proxies) == "127.0.0.1"


def test_an_address_of_ipv4_in_the_form_of_ipv6_is_that_of_ipv4() -> None:
    assert is_within("::ffff:10.1.2.3", ["10.0.0.0/8"])
    assert not is_within("no address", ["0.0.0.0/0"])
    assert [network(one) for one in ("10.0.0.0/8", "10.1.2.3")] == ["10.0.0.0/8", "10.1.2.3/32"]
    with pytest.raises(ValueError, match=r"write 10\.0\.0\.0/8"):
        network("10.0.0.1/8")


def test_a_token_comes_as_bearer_or_as_the_password_of_basic() -> None:
    def basic(pair: str) -> str:
        return "Basic " + base64.b64encode(pair.encode()).decode()

    asked = {f"Bearer {TOKEN}": TOKEN, f"bearer  {TOKEN} ": TOKEN, basic(f"me:{TOKEN}"): TOKEN, basic(TOKEN): TOKEN}
    asked |= {"Basic ???": "", "Digest a": "", "Bearer": "", TOKEN: ""}
    assert {header: credential(header, lambda text: base64.b64decode(text, validate=True)) for header in asked} == asked
    assert credential("", base64.b64decode) is None


def test_a_new_token_has_the_form_of_the_hubs_and_37_letters_and_digits() -> None:
    made = {new_token(secrets.choice) for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 40 and one[:3] == "hf_" and one[3:].isalnum() and one.isascii() for one in made)
