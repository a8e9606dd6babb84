//! Quantities are read, shown, compared and added as Kubernetes does.

use kubewright_quantity::{NotAQuantity, Quantity};

/// Quantities of the tables in upstream's `quantity_test.go`.
#[test]
fn canonical_forms() {
    for (text, canonical) in [
        ("0", "0"),
        ("0Ki", "0"),
        ("100m", "100m"),
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1000", "1k"),
        ("1024", "1024"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("1025Ki", "1025Ki"),
        ("1023", "1023"),
        ("100k", "100k"),
        ("1.1E", "1100P"),
        ("1e3", "1e3"),
        ("12e4", "120e3"),
        ("1E-3", "1e-3"),
        ("-1.5", "-1500m"),
        (".5Mi", "512Ki"),
        ("5.", "5"),
        ("+5", "5"),
        ("0.1n", "1n"),
        ("0.0000000001", "1n"),
        ("1.0000000001", "1000000001n"),
        (
            "999999999999999999999999999999999999999999",
            "9223372036854775807",
        ),
        ("1Ei", "1Ei"),
    ] {
        let quantity = Quantity::parse(text).unwrap();
        assert_eq!(quantity.to_string(), canonical, "{text}");
        assert_eq!(Quantity::parse(canonical), Ok(quantity), "{text}");
    }
}

#[test]
fn what_is_no_quantity_is_refused() {
    for text in [
        "", "-", ".", "1..2", "1 Mi", "Mi", "1mi", "1e", "1ex", "0x1", "1,5", "1i",
    ] {
        assert_eq!(Quantity::parse(text), Err(NotAQuantity), "{text}");
    }
}

#[test]
fn amounts_compare_whatever_their_form() {
    let q = |text| Quantity::parse(text).unwrap();
    assert_eq!(q("1Ki"), q("1024"));
    assert!(q("1k") < q("1Ki"));
    assert!(q("-1").is_negative() && !q("0").is_negative());
    assert!(q("2").is_whole() && !q("1500m").is_whole());
    assert_eq!(q("1u").round_up_to_milli(), q("1m"));
    assert_eq!(q("-1500u").round_up_to_milli(), q("-1m"));
    assert_eq!(q("2").round_up_to_milli(), q("2"));
}

/// Upstream's `TestQuantityAdd`, `TestQuantitySub`.
#[test]
fn quantities_add_up_exactly() {
    let q = |text| Quantity::parse(text).unwrap();
    for (left, right, sum, difference) in [
        ("10", "1.1", "11100m", "8900m"),
        ("10Mi", "1k", "10486760", "10484760"),
        ("0", "50Mi", "50Mi", "-50Mi"),
        ("0.1", "0.2", "300m", "-100m"),
        ("1n", "1n", "2n", "0"),
        ("7Ei", "7Ei", "9223372036854775807", "0"),
    ] {
        assert_eq!((q(left) + q(right)).to_string(), sum, "{left} + {right}");
        assert_eq!(
            (q(left) - q(right)).to_string(),
            difference,
            "{left} - {right}"
        );
    }
    let total: Quantity = ["100m", "200m", "1"].into_iter().map(q).sum();
    assert_eq!(total, Quantity::milli(1300));
}

/// Upstream's `TestScaledValue`.
#[test]
fn values_are_rounded_away_from_zero() {
    let q = |text| Quantity::parse(text).unwrap();
    for (text, value, milli) in [
        ("0", 0, 0),
        ("1m", 1, 1),
        ("-1m", -1, -1),
        ("1500m", 2, 1500),
        ("100u", 1, 1),
        ("2Ki", 2048, 2_048_000),
        ("8E", 8_000_000_000_000_000_000, i64::MAX),
    ] {
        assert_eq!(q(text).value(), value, "{text}");
        assert_eq!(q(text).milli_value(), milli, "{text}");
    }
    assert_eq!(Quantity::bytes(1 << 30).to_string(), "1Gi");
    assert_eq!(Quantity::whole(2000).to_string(), "2k");
}
