//! Numbers for what a request is pinned to. Several machines and versions must agree on them: a change here
//! sends every client of a hash balance to another endpoint.

use std::net::IpAddr;

use crate::upstream::generator::mix;

/// A number for a cookie, a path, a name. It is the same in every process, on every machine, and there is no
/// secret in it: secrets would have to be shared by all machines that serve the same users.
///
/// So whoever chooses keys can look for many that meet at one endpoint. He gains nothing by it that repeating
/// one key does not give him for less, and [`Bound`](super::Bound) limits both: an endpoint that has more than
/// its share of the requests in flight passes keys on to their next one. Numbers are never the keys of a table,
/// so there is no list that collisions could make long.
pub fn hash_key(bytes: &[u8]) -> u64 {
    // The length tells keys apart that differ only in zeros at their end.
    let mut state = mix(START ^ bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    mix(state ^ u64::from_le_bytes(last))
}

/// A number for a client: an IPv4 address as it is, in whichever way it is written, of an IPv6 address the /64,
/// since one client has all of it and changes its address at will.
pub fn address_key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash_key(&address.octets()),
        IpAddr::V6(address) => {
            let network = (address.to_bits() >> 64) as u64;
            hash_key(&network.to_be_bytes())
        }
    }
}

/// Zero would be a fixed point of `mix`.
const START: u64 = 0x6a09_e667_f3bc_c908;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_change() {
        // Computed apart from this code, from the definition of the finaliser.
        for (key, number) in KNOWN {
            assert_eq!(hash_key(key), *number, "{:?}", String::from_utf8_lossy(key));
        }
    }

    #[test]
    fn each_bit_of_a_key_turns_half_of_the_number() {
        for length in [1, 7, 8, 9, 16, 33] {
            let mut turned = [0_u32; 64];
            let mut cases = 0;
            for base in 0..200_u64 {
                let key: Vec<u8> = (0..length).map(|at| (mix(base * 64 + at) >> 56) as u8).collect();
                for bit in 0..key.len() * 8 {
                    let mut other = key.clone();
                    other[bit / 8] ^= 1 << (bit % 8);
                    let difference = hash_key(&key) ^ hash_key(&other);
                    for (place, count) in turned.iter_mut().enumerate() {
                        *count += ((difference >> place) & 1) as u32;
                    }
                    cases += 1;
                }
            }
            for count in turned {
                let share = f64::from(count) / f64::from(cases);
                assert!((0.44..0.56).contains(&share), "{length} bytes: {share}");
            }
        }
    }

    #[test]
    fn keys_that_look_alike_are_spread_evenly() {
        type Make = fn(u32) -> Vec<u8>;
        let kinds: [(&str, Make); 3] = [
            ("numbers", |at| at.to_string().into_bytes()),
            ("addresses", |at| format!("10.0.{}.{}", at >> 8, at & 255).into_bytes()),
            ("zeros", |at| vec![0; at as usize]),
        ];
        for (kind, make) in kinds {
            let keys = 6_400;
            for shift in [0, 29, 58] {
                let mut counts = [0_i64; 64];
                for at in 0..keys {
                    counts[((hash_key(&make(at)) >> shift) & 63) as usize] += 1;
                }
                // Of 64 equal cells: the sum is 63 on average, and over 120 once in 50,000 times.
                let expected = i64::from(keys) / 64;
                let sum: i64 = counts.iter().map(|count| (count - expected).pow(2)).sum();
                assert!(sum / expected < 120, "{kind} shifted by {shift}: {counts:?}");
            }
        }
    }

    #[test]
    fn a_client_keeps_its_number() {
        let key = |text: &str| address_key(text.parse().expect("an address"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    }

    const KNOWN: &[(&[u8], u64)] = &[
        (b"", 0x83cd_62b9_6d17_d778),
        (b"a", 0x7591_b1b0_b18c_18b3),
        (b"10.0.0.1:80", 0x530b_40dd_99de_6ae4),
        (b"12345678", 0x5b88_70bf_189a_4acf),
        (b"a key of more than sixteen bytes", 0x08f5_8b0c_b582_875b),
    ];
}
