//! `${NAME}` and `${NAME:-default}` in strings; `$${` is a plain `${`.

/// Looks a variable up; tests bring their own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub fn of_the_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Why a string cannot be filled in.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    pub message: String,
    pub hint: String,
    /// The wrong piece of the string.
    pub part: String,
}

/// The text with all variables filled in. As in a shell, `:-` also stands in for an empty variable. What a
/// variable holds is not expanded again.
pub fn expand(text: &str, environment: Environment<'_>) -> Result<String, Wrong> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let Some(end) = inside.find('}') else {
            return Err(Wrong {
                message: "`${` without `}`".to_string(),
                hint: "write `${NAME}` for an environment variable, `$${` for a plain `${`".to_string(),
                part: rest[at..].to_string(),
            });
        };
        out.push_str(&variable(&inside[..end], environment)?);
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(inside: &str, environment: Environment<'_>) -> Result<String, Wrong> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let part = format!("${{{inside}}}");
    if !is_name(name) {
        return Err(Wrong {
            message: format!("`{name}` is not the name of an environment variable"),
            hint: format!("write `$${{{inside}}}` for a plain `{part}`"),
            part,
        });
    }
    match (environment(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_string()),
        (None, None) => Err(Wrong {
            message: format!("the environment variable `{name}` is not set"),
            hint: format!("set it, or give a default: `${{{name}:-default}}`"),
            part,
        }),
    }
}

fn is_name(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("app.internal".to_string()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_string()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${HOST}", "app.internal"),
            ("${HOST}:${PORT:-80}!", "app.internal:80!"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${MISSING:-}", ""),
            ("$${HOST}", "${HOST}"),
            ("a$b $1 $", "a$b $1 $"),
            ("${NESTED}", "${HOST}"),
            ("ü${HOST}ü", "üapp.internalü"),
        ] {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_names_the_piece() {
        for (text, part) in
            [("x${MISSING}y", "${MISSING}"), ("x${1}", "${1}"), ("a ${HOST", "${HOST"), ("${}", "${}")]
        {
            assert_eq!(expand(text, &environment).unwrap_err().part, part, "{text}");
        }
    }
}
