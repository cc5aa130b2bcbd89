//! Templates: domain names of one form.
//!
//! `{A-B}` is a decimal range, padded to the width of `A`; `{a|b}` lists alternatives; `*` stands for one or more of `a-z`, `0-9` and
//! `-` inside one label. Ranges and alternatives are written out; at most one `*` per label is left to match.

/// Most names that one template may stand for, not counting what `*` stands for.
pub const WIDTH_MAX: usize = 1_000;

/// Writes out the ranges and alternatives of `template`. The results may hold `*`.
///
/// # Errors
/// What is wrong with it, in words.
pub fn expand(template: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (choice, after) = after.split_once('}').ok_or_else(|| format!("{{ without }} in template {template:?}"))?;
        let choices = choices(choice)?;
        if names.len().saturating_mul(choices.len()) > WIDTH_MAX {
            return Err(format!(
                "template {template:?} stands for more than {WIDTH_MAX} names; split it, or use a suffix instead"
            ));
        }
        names =
            names.iter().flat_map(|name| choices.iter().map(move |choice| format!("{name}{before}{choice}"))).collect();
        rest = after;
    }
    if template.split('.').any(|label| label.matches('*').count() > 1) {
        return Err(format!("more than one * in a label of template {template:?}; keep one per label"));
    }
    for name in &mut names {
        name.push_str(rest);
    }
    Ok(names)
}

/// Whether `name` has the form of `pattern`, whose only special character is `*`.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let (mut labels, mut wanted) = (name.split('.'), pattern.split('.'));
    loop {
        match (labels.next(), wanted.next()) {
            (None, None) => return true,
            (Some(label), Some(wanted)) if label_fits(wanted, label) => {}
            _ => return false,
        }
    }
}

fn label_fits(wanted: &str, label: &str) -> bool {
    let Some((before, after)) = wanted.split_once('*') else { return wanted == label };
    label.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).is_some_and(|star| {
        !star.is_empty() && star.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    })
}

fn choices(choice: &str) -> Result<Vec<String>, String> {
    if choice.contains('|') {
        return Ok(choice.split('|').map(str::to_owned).collect());
    }
    let wrong = || format!("{{{choice}}} is neither a range such as {{00-19}} nor alternatives such as {{a|b}}");
    let (first, last) = choice.split_once('-').ok_or_else(wrong)?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<u32>().ok() } else { None }
    };
    let (low, high) = number(first).zip(number(last)).ok_or_else(wrong)?;
    if low > high {
        return Err(format!("the range {{{choice}}} ends before it begins; write {{{last}-{first}}}"));
    }
    if (high - low) as usize >= WIDTH_MAX {
        return Err(format!(
            "the range {{{choice}}} stands for more than {WIDTH_MAX} names; split it, or use a suffix instead"
        ));
    }
    let width = first.len();
    Ok((low..=high).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn ranges_keep_the_width_of_their_first_number() {
        let names = expand("s{00-19}.upd.example.com").unwrap();
        assert_eq!((names.len(), &*names[0], &*names[19]), (20, "s00.upd.example.com", "s19.upd.example.com"));
        let names = expand("{0-99}.ntfy.example.com").unwrap();
        assert_eq!((names.len(), &*names[0], &*names[99]), (100, "0.ntfy.example.com", "99.ntfy.example.com"));
    }

    #[test]
    fn several_choices_multiply() {
        assert_eq!(expand("{a|b}{1-2}.x.org").unwrap(), ["a1.x.org", "a2.x.org", "b1.x.org", "b2.x.org"]);
    }

    #[test]
    fn a_template_has_a_width() {
        assert_eq!(expand("{0-999}.x.org").unwrap().len(), 1_000);
        for wide in ["{0-1000}.x.org", "{0-99}{0-99}.x.org", "{0-4294967295}.x.org"] {
            assert!(expand(wide).unwrap_err().contains("more than 1000 names"), "{wide}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for bad in
            ["s{00-19.x.org", "s{}.x.org", "s{a-b}.x.org", "s{1}.x.org", "s{9-1}.x.org", "s{+1-2}.x.org", "a*b*.x.org"]
        {
            assert!(expand(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_star_stays_inside_its_label() {
        let fits = |name| fits("ksn*.example.com", name);
        assert!(fits("ksn-file-geo.example.com"));
        assert!(fits("ksn2.example.com"));
        assert!(!fits("ksn.example.com"));
        assert!(!fits("ksn1.part.example.com"));
        assert!(!fits("xksn1.example.com"));
        assert!(!fits("ksn_1.example.com"));
        assert!(!fits("ksn1.example.com.org"));
    }
}
