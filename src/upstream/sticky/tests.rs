use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;
const IDENTITY: u64 = 0x0123_4567_89ab_cdef;

fn options() -> StickyOptions {
    StickyOptions {
        name: "palisade".into(),
        secrets: vec![Secret::new("an example secret")],
        ttl: Some(Duration::from_secs(3600)),
        secure: false,
        same_site: SameSite::Lax,
        path: "/".into(),
    }
}

fn sticky() -> Sticky {
    Sticky::new(&options(), "shop")
}

#[test]
fn the_value_never_changes() {
    // Several versions share the users of one site. Computed apart from this code.
    assert_eq!(
        String::from_utf8_lossy(&sticky().value(IDENTITY, NOW)),
        "Ac9rSdIAp_8XLSBA63ECWgW3rcNZq_P0fEB3yubk"
    );
}

#[test]
fn a_value_is_good_for_its_upstream_and_secret_alone() {
    let value = sticky().value(IDENTITY, NOW);
    assert_eq!(sticky().verify(&value, NOW), Some(Pin { identity: IDENTITY, renew: false }));
    assert_eq!(Sticky::new(&options(), "shop2").verify(&value, NOW), None);
    // Secrets with the same id too: one byte cannot tell 300 apart.
    for number in 0..300 {
        let other =
            StickyOptions { secrets: vec![Secret::new(format!("other secret {number:04}"))], ..options() };
        assert_eq!(Sticky::new(&other, "shop").verify(&value, NOW), None);
    }
}

#[test]
fn the_identity_is_not_to_be_seen() {
    let decode = |identity, now| BASE64URL_NOPAD.decode(&sticky().value(identity, now)).expect("base64");
    let one = decode(IDENTITY, NOW);
    assert!(!one.windows(8).any(|bytes| bytes == IDENTITY.to_be_bytes() || bytes == IDENTITY.to_le_bytes()));
    // Nor whether two clients have the same endpoint, or neighbours.
    for other in [decode(IDENTITY, NOW + 1), decode(IDENTITY ^ 1, NOW)] {
        let equal = one[6..].iter().zip(&other[6..]).filter(|(one, other)| one == other).count();
        assert!(equal < 6, "{equal} of 24 bytes are the same");
    }
}

#[test]
fn it_ends_with_the_ttl() {
    // (ttl, seconds since it was issued, whether to renew or `None` when it is refused)
    let cases = [
        (Some(3600), 0, Some(false)),
        (Some(3600), 1800, Some(false)),
        (Some(3600), 1801, Some(true)),
        (Some(3600), 3660, Some(true)),
        (Some(3600), 3661, None),
        (Some(3600), -60, Some(false)),
        (Some(3600), -61, None),
        (None, 1_000_000_000, Some(false)),
        (None, -61, None),
        (Some(u64::MAX), 1_000_000_000, Some(false)),
    ];
    for (ttl, age, expected) in cases {
        let sticky = Sticky::new(&StickyOptions { ttl: ttl.map(Duration::from_secs), ..options() }, "shop");
        let pin = sticky.verify(&sticky.value(IDENTITY, NOW), NOW.saturating_add_signed(age));
        assert_eq!(pin.map(|pin| pin.renew), expected, "{ttl:?} {age}");
    }
}

#[test]
fn an_old_secret_verifies_until_it_is_taken_away() {
    let secrets = |names: &[&str]| names.iter().map(|name| Secret::new(*name)).collect();
    let with = |names: &[&str]| Sticky::new(&StickyOptions { secrets: secrets(names), ..options() }, "shop");
    let value = with(&["the old secret of ours"]).value(IDENTITY, NOW);
    let both = with(&["the new secret of ours", "the old secret of ours"]);
    assert_eq!(both.verify(&value, NOW), Some(Pin { identity: IDENTITY, renew: true }));
    assert_eq!(with(&["the new secret of ours"]).verify(&value, NOW), None);
    let renewed = both.value(IDENTITY, NOW);
    assert_eq!(both.verify(&renewed, NOW), Some(Pin { identity: IDENTITY, renew: false }));
}

#[test]
fn our_cookie_is_found_among_others() {
    let good = "Ac9rSdIAp_8XLSBA63ECWgW3rcNZq_P0fEB3yubk";
    let bad = "A".repeat(LENGTH);
    let cases = [
        (vec![format!("palisade={good}")], true),
        (vec![format!("a=b; palisade={good}; c=d")], true),
        (vec![format!("a=b;palisade={good} ;c")], true),
        (vec![format!("palisade=\"{good}\"")], true),
        (vec!["a=b".into(), String::new(), format!("c=d; palisade={good}")], true),
        (vec![format!("palisade={bad}; palisade=short; palisade; palisade={good}")], true),
        (vec![format!("palisade=1; palisade=2; palisade=3; palisade=4; palisade={good}")], false),
        (vec!["x".repeat(MAX_LENGTH - 49), format!("palisade={good}")], true),
        (vec!["x".repeat(MAX_LENGTH - 48), format!("palisade={good}")], false),
        (vec![format!("Palisade={good}")], false),
        (vec![format!("xpalisade={good}; palisade2={good}")], false),
        (vec![format!("palisade={good}x")], false),
        (vec![format!("palisade=\"{good}")], false),
        (vec![format!("a=\"; palisade={good}")], true),
        (vec![], false),
    ];
    for (fields, found) in cases {
        let pin = sticky().pinned(fields.iter().map(String::as_bytes), NOW);
        assert_eq!(pin.is_some(), found, "{fields:?}");
    }
}

#[test]
fn set_cookie_says_what_was_set() {
    let (hour, strict, none) = (Some(Duration::from_secs(3600)), SameSite::Strict, SameSite::None);
    let cases = [
        (options(), "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"),
        (StickyOptions { ttl: None, ..options() }, "; Path=/; HttpOnly; SameSite=Lax"),
        (
            StickyOptions { ttl: hour, secure: true, same_site: none, path: "/a".into(), ..options() },
            "; Path=/a; Max-Age=3600; HttpOnly; SameSite=None; Secure",
        ),
        (
            StickyOptions { same_site: strict, ..options() },
            "; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict",
        ),
    ];
    for (options, attributes) in cases {
        let mut out = b"before ".to_vec();
        Sticky::new(&options, "shop").set_cookie(IDENTITY, NOW, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            format!("before palisade=Ac9rSdIAp_8XLSBA63ECWgW3rcNZq_P0fEB3yubk{attributes}")
        );
    }
}

#[test]
fn mistakes_are_told_all_together() {
    use Mistake::{Name, NeedsRootPath, NeedsSecure, NoSecret, Path, ShortSecret, Ttl};
    let named = |name: &str| StickyOptions { name: name.into(), ..options() };
    let at = |path: &str| StickyOptions { path: path.into(), ..options() };
    let cases = [
        (options(), vec![]),
        (named(""), vec![Name]),
        (named("a b"), vec![Name]),
        (named("a=b"), vec![Name]),
        (named("é"), vec![Name]),
        (named("__Host-a"), vec![NeedsSecure]),
        (named("__secure-a"), vec![NeedsSecure]),
        (StickyOptions { secure: true, ..named("__Secure-a") }, vec![]),
        (StickyOptions { secure: true, path: "/a".into(), ..named("__Host-a") }, vec![NeedsRootPath]),
        (StickyOptions { same_site: SameSite::None, ..options() }, vec![NeedsSecure]),
        (at(""), vec![Path]),
        (at("a"), vec![Path]),
        (at("/a; Domain=example.org"), vec![Path]),
        (at("/\r\nSet-Cookie: a=b"), vec![Path]),
        (StickyOptions { ttl: Some(Duration::from_millis(999)), ..options() }, vec![Ttl]),
        (StickyOptions { secrets: vec![], ..named("") }, vec![Name, NoSecret]),
        (StickyOptions { secrets: vec![Secret::new("fifteen bytes..")], ..options() }, vec![ShortSecret]),
    ];
    for (options, expected) in cases {
        assert_eq!(options.mistakes(), expected, "{options:?}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?} {:?}", options(), sticky());
    assert!(!shown.contains("example") && !shown.contains("97, 110"), "{shown}");
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused(identity: u64, now in 0..u64::from(u32::MAX), bit in 0..LENGTH * 8) {
        let mut value = sticky().value(identity, now);
        prop_assert_eq!(sticky().verify(&value, now).map(|pin| pin.identity), Some(identity));
        value[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(sticky().verify(&value, now), None);
    }

    #[test]
    fn any_flipped_bit_under_the_base64_is_refused(identity: u64, bit in 0..SIZE * 8) {
        let mut bytes = BASE64URL_NOPAD.decode(&sticky().value(identity, NOW)).expect("base64");
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(sticky().verify(BASE64URL_NOPAD.encode(&bytes).as_bytes(), NOW), None);
    }

    #[test]
    fn nothing_from_outside_panics(fields in prop::collection::vec("(palisade=?[ -~]{0,44};?){0,4}", 0..4), now: u64) {
        prop_assert_eq!(sticky().pinned(fields.iter().map(String::as_bytes), now), None);
    }
}
