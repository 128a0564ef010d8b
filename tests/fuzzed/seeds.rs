//! Inputs from which a fuzzer sets out.

pub const JSON: &[&str] = &[
    r#"{"a":[1,2.50,-0,1e400,1E-5],"b":{"c":null,"d":true,"e":false}}"#,
    r#" [ "é\u00e9\ud83d\ude00\n\/\"\\" , "" ] "#,
    r#"{"a":1,"a":2}"#,
    r#"{"a":1,"\u0061":2}"#,
    r#"{"1":0,"2":0,"3":0,"4":0,"5":0,"6":0,"7":0,"8":0,"9":0,"1":0}"#,
    r#"{"\ud800":1}"#,
    r#"["\ud800","\udc00\ud800","\ud800\u0041"]"#,
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "12345678901234567890123",
    "\"\u{feff}\"",
    "[1,]",
    "nulll",
    "01",
];

/// The first byte says what a template is for: `p` for a page, `g` with groups of a regex, else a plain one.
pub const TEMPLATES: &[&str] = &[
    " https://{host}{path}{query}",
    " {{{method}}} {header.X-In}, {cookie.a} and {query.b}",
    " }}{{ {now.unix} {request_id}",
    " {unknown}",
    " {header.b d}",
    " {a{b}",
    " lone } and {",
    "g/$1/${2}/$name-${name}$$1$ {host}",
    "g$",
    "g${",
    "p<style>p{color:red}</style>{{status}} {{ reason }}{{message}}",
    "p{{{status}}}{{{{path}}}}",
    "p{{status}\n}}",
];

/// The first two bytes are the size.
pub const RANGES: &[&str] = &[
    "00bytes=0-0",
    "00bytes=0-,-5",
    "01bytes= 1 - 2 , 3-,,-0",
    "02bytes=5-4",
    "03bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8",
    "04bytes=0-9,5-15,10-20,0-99999999999999999999999",
    "05items=0-1",
    "06bytes=-99999999999999999999999,18446744073709551615-18446744073709551616",
    "\0\0bytes=-1",
    "\0\u{1}BYTES=0-",
];
