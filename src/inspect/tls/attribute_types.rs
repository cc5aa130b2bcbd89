//! What types of attributes are called in the spelling of a distinguished name: short where RFC 4514 section 3 is (`CN`), else as in
//! X.520. Whoever makes a certificate by hand also writes extensions and algorithms there, so these have their names, too.

use std::fmt;

/// One arc's encoding holds seven bits a byte; all but the last byte have the eighth (X.690 section 8.19).
const MORE: u8 = 0x80;

/// The common name (X.520 section 6.2.2), as it is encoded.
pub const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Names by the last arc, below the arcs before it as they are encoded.
type Named = (&'static [u8], &'static [(u8, &'static str)]);

const NAMES: &[Named] = &[
    // 0.9.2342.19200300.100.1
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01], &[(1, "uid"), (25, "DC")]),
    // 1.2.643.2.2
    (&[0x2a, 0x85, 0x03, 0x02, 0x02], &[(3, "id-GostR3411-94-with-GostR3410-2001"), (19, "gostR3410-2001")]),
    // 1.2.643.7.1.1.1
    (&[0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x01], &[(1, "gost3410-2012-256"), (2, "gost3410-2012-512")]),
    // 1.2.643.7.1.1.3
    (
        &[0x2a, 0x85, 0x03, 0x07, 0x01, 0x01, 0x03],
        &[(2, "id-tc26-signwithdigest-gost3410-12-256"), (3, "id-tc26-signwithdigest-gost3410-12-512")],
    ),
    // 1.2.840.10040.4
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04], &[(1, "id-dsa"), (3, "dsa-with-sha1")]),
    // 1.2.840.10045.2
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02], &[(1, "id-ecPublicKey")]),
    // 1.2.840.10045.3.1
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01], &[(7, "prime256v1")]),
    // 1.2.840.10045.4.3
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03],
        &[(1, "ecdsa-with-SHA224"), (2, "ecdsa-with-SHA256"), (3, "ecdsa-with-SHA384"), (4, "ecdsa-with-SHA512")],
    ),
    // 1.2.840.113549.1
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01], &[(12, "pkcs-12")]),
    // 1.2.840.113549.1.1
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01],
        &[
            (1, "rsaEncryption"),
            (2, "md2WithRSAEncryption"),
            (3, "md4WithRSAEncryption"),
            (4, "md5WithRSAEncryption"),
            (5, "sha1WithRSAEncryption"),
            (8, "id-mgf1"),
            (10, "rsassa-pss"),
            (11, "sha256WithRSAEncryption"),
            (12, "sha384WithRSAEncryption"),
            (13, "sha512WithRSAEncryption"),
            (14, "sha224WithRSAEncryption"),
        ],
    ),
    // 1.2.840.113549.1.7
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07],
        &[
            (1, "pkcs7-data"),
            (2, "pkcs7-signedData"),
            (3, "pkcs7-envelopedData"),
            (4, "pkcs7-signedAndEnvelopedData"),
            (5, "pkcs7-digestedData"),
            (6, "pkcs7-encryptedData"),
        ],
    ),
    // 1.2.840.113549.1.9
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09],
        &[
            (1, "Email"),
            (2, "unstructuredName"),
            (3, "contentType"),
            (4, "id-messageDigest"),
            (5, "signing-time"),
            (7, "challengePassword"),
            (14, "extensionRequest"),
            (15, "smimeCapabilities"),
            (20, "friendlyName"),
        ],
    ),
    // 1.2.840.113549.1.12
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c], &[(1, "pkcs-12PbeIds")]),
    // 1.2.840.113549.1.12.1
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01],
        &[
            (1, "pbeWithSHAAnd128BitRC4"),
            (2, "pbeWithSHAAnd40BitRC4"),
            (3, "pbeWithSHAAnd3-KeyTripleDES-CBC"),
            (4, "pbeWithSHAAnd2-KeyTripleDES-CBC"),
            (5, "pbeWithSHAAnd128BitRC2-CBC"),
            (6, "pbeWithSHAAnd40BitRC2-CBC"),
        ],
    ),
    // 1.3.6.1.4.1.311.60.2.1
    (
        &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x3c, 0x02, 0x01],
        &[(1, "msJurisdictionLocality"), (2, "msJurisdictionStateOrProvince"), (3, "msJurisdictionCountry")],
    ),
    // 1.3.6.1.4.1.11129.2.4
    (&[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04], &[(2, "ctSCTList")]),
    // 1.3.6.1.5.5.7.1
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01], &[(1, "authorityInfoAccess"), (11, "subjectInfoAccess")]),
    // 1.3.6.1.5.5.7.48
    (
        &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30],
        &[
            (1, "id-ad-ocsp"),
            (2, "id-ad-caIssuers"),
            (3, "id-ad-timestamping"),
            (4, "id-ad-dvcs"),
            (5, "id-ad-caRepository"),
            (6, "id-ad-http-certs"),
            (7, "id-ad-http-crls"),
            (10, "id-ad-rpki-manifest"),
            (11, "id-ad-signed-object"),
            (12, "id-ad-cmc"),
            (13, "id-ad-rpki-notify"),
            (14, "id-ad-stirTNList"),
        ],
    ),
    // 1.3.14.3.2
    (&[0x2b, 0x0e, 0x03, 0x02], &[(25, "md5WithRSASignature"), (26, "id-SHA1"), (29, "sha1WithRSAEncryption")]),
    // 1.3.36.3.3.1
    (&[0x2b, 0x24, 0x03, 0x03, 0x01], &[(2, "rsaSignatureWithripemd160")]),
    // 1.3.101
    (&[0x2b, 0x65], &[(112, "ed25519"), (113, "ed448")]),
    // 1.3.132.0
    (&[0x2b, 0x81, 0x04, 0x00], &[(34, "secp384r1"), (35, "secp521r1")]),
    // 1.3.133.16.840.63.0
    (&[0x2b, 0x81, 0x05, 0x10, 0x86, 0x48, 0x3f, 0x00], &[(2, "dhSinglePass-stdDH-sha1kdf-scheme")]),
    // 2.5
    (&[0x55], &[(4, "x509")]),
    // 2.5.4
    (
        &[0x55, 0x04],
        &[
            (0, "objectClass"),
            (1, "aliasedEntryName"),
            (2, "knowledgeInformation"),
            (3, "CN"),
            (4, "surname"),
            (5, "serialNumber"),
            (6, "C"),
            (7, "L"),
            (8, "ST"),
            (9, "streetAddress"),
            (10, "O"),
            (11, "OU"),
            (12, "title"),
            (13, "description"),
            (14, "searchGuide"),
            (15, "businessCategory"),
            (16, "postalAddress"),
            (17, "postalCode"),
            (41, "name"),
            (42, "givenName"),
            (43, "initials"),
            (44, "generationQualifier"),
            (45, "uniqueIdentifier"),
            (46, "dnQualifier"),
        ],
    ),
    // 2.5.29
    (
        &[0x55, 0x1d],
        &[
            (1, "oldAuthorityKeyIdentifier"),
            (2, "oldKeyAttributes"),
            (3, "oldCertificatePolicies"),
            (4, "oldKeyUsage"),
            (5, "oldPolicyMapping"),
            (6, "oldSubtreesConstraint"),
            (7, "oldSubjectAltNAme"),
            (8, "oldIssuerAltNAme"),
            (14, "subjectKeyIdentifier"),
            (15, "keyUsage"),
            (16, "privateKeyUsagePeriod"),
            (17, "subjectAltName"),
            (18, "issuerAltName"),
            (19, "basicConstraints"),
            (20, "crlNumber"),
            (21, "reasonCode"),
            (23, "holdInstructionCode"),
            (24, "invalidityDate"),
            (27, "deltaCRLIndicator"),
            (28, "issuerDistributionPoint"),
            (29, "issuer"),
            (30, "nameConstraints"),
            (31, "crlDistributionPoints"),
            (32, "certificatePolicies"),
            (33, "policyMappings"),
            (35, "authorityKeyIdentifier"),
            (36, "policyConstraints"),
            (37, "extendedKeyUsage"),
            (46, "freshestCRL"),
            (54, "inhibitAnyPolicy"),
        ],
    ),
    // 2.16.840.1.101.3.4.1
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01], &[(42, "aes-256-cbc")]),
    // 2.16.840.1.101.3.4.2
    (&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02], &[(1, "sha256"), (2, "sha384"), (3, "sha512")]),
    // 2.16.840.1.113730.1
    (
        &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x01],
        &[
            (1, "nsCertType"),
            (2, "nsBaseURL"),
            (3, "nsRevocationURL"),
            (4, "nsCARevocationURL"),
            (5, "nsCACRLURL"),
            (6, "nsCACertURL"),
            (7, "nsRenewalURL"),
            (8, "nsCAPolicyURL"),
            (9, "nsHomepageURL"),
            (10, "nsEntityLogo"),
            (11, "nsUserPicture"),
            (12, "nsSSLServerName"),
            (13, "nsComment"),
        ],
    ),
];

/// Writes the name of an object identifier, or else its numbers: `OID(2.5.4.97)`.
///
/// The first two numbers are those that the first byte holds. An identifier with a number of more than [`ARC_BYTES_MAX`] bytes, which few
/// have (X.667 makes such of UUIDs), is written as its bytes.
pub fn write(encoded: &[u8], into: &mut impl fmt::Write) -> fmt::Result {
    if let Some(name) = name(encoded) {
        return into.write_str(name);
    }
    into.write_str("OID(")?;
    if let Some((&first, rest)) = encoded.split_first() {
        if arcs(rest).any(|arc| arc.is_none()) {
            write!(into, "{first:02x}")?;
            rest.iter().try_for_each(|byte| write!(into, " {byte:02x}"))?;
        } else if first == 0 && rest.is_empty() {
            into.write_char('0')?;
        } else {
            write!(into, "{}.{}", first / 40, first % 40)?;
            arcs(rest).flatten().try_for_each(|arc| write!(into, ".{arc}"))?;
        }
    }
    into.write_char(')')
}

fn name(encoded: &[u8]) -> Option<&'static str> {
    let (last, before) = encoded.split_last()?;
    let (_, names) = NAMES.iter().find(|(prefix, _)| *prefix == before)?;
    names.iter().find(|(arc, _)| arc == last).map(|&(_, name)| name)
}

/// Bytes of a number, of seven bits each, that fit 64 bits.
const ARC_BYTES_MAX: usize = 9;

/// The numbers behind the first byte; `None` for one that is too long.
fn arcs(encoded: &[u8]) -> impl Iterator<Item = Option<u64>> {
    encoded.split_inclusive(|byte| byte & MORE == 0).map(|bytes| {
        let fits = bytes.len() <= ARC_BYTES_MAX;
        fits.then(|| bytes.iter().fold(0, |arc, byte| arc << 7 | u64::from(byte & !MORE)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use x509_parser::asn1_rs::Oid;
    use x509_parser::objects::{oid_registry, oid2abbrev};

    fn ours(encoded: &[u8]) -> String {
        let mut text = String::new();
        write(encoded, &mut text).expect("a string takes everything");
        text
    }

    fn theirs(encoded: &[u8]) -> String {
        let oid = Oid::new(encoded.into());
        oid2abbrev(&oid, oid_registry()).map_or_else(|_| format!("{oid:?}"), str::to_owned)
    }

    #[test]
    fn names_are_those_of_another_parser_and_no_others() {
        let mut count = 0;
        for oid in oid_registry().keys() {
            assert_eq!(ours(oid.as_bytes()), theirs(oid.as_bytes()));
            count += 1;
        }
        assert_eq!(count, NAMES.iter().map(|(_, names)| names.len()).sum::<usize>());
        for (prefix, _) in NAMES {
            for last in 0..=u8::MAX {
                let encoded = [prefix, &[last][..]].concat();
                assert_eq!(ours(&encoded), theirs(&encoded));
            }
        }
    }

    #[test]
    fn numbers_are_written_where_there_is_no_name() {
        for (encoded, expected) in [
            (&[][..], "OID()"),
            (&[0], "OID(0)"),
            (&[0x55, 4, 97], "OID(2.5.4.97)"),
            (&[0x88, 0x37], "OID(3.16.55)"),
            (&[0x2a, 0x81], "OID(1.2.1)"),
        ] {
            assert_eq!(ours(encoded), expected);
            assert_eq!(theirs(encoded), expected);
        }
        let largest = [&[0x69][..], &[0xff; 8], &[0x7f]].concat();
        assert_eq!(ours(&largest), format!("OID(2.25.{})", u64::MAX >> 1));
        assert_eq!(theirs(&largest), ours(&largest));
        let beyond = [&[0x69, 0x81][..], &[0x80; 8], &[0]].concat();
        assert_eq!(ours(&beyond), format!("OID(69 81{} 00)", " 80".repeat(8)));
        assert_eq!(theirs(&beyond), ours(&beyond));
    }

    proptest! {
        #[test]
        fn numbers_agree_with_another_parser(
            encoded in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x80), Just(0xff)], 0..24),
            end in 0..MORE,
        ) {
            // A number without an end is beyond what the other one can say.
            let encoded = [&encoded[..], &[end]].concat();
            prop_assert_eq!(ours(&encoded), theirs(&encoded));
        }
    }
}
