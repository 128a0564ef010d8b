//! What `palisade explain` says of a path.

use std::process::Command;

#[test]
fn explain_tells_the_script() {
    let dir = testkit::temp_dir();
    let config = dir.join("palisade.toml");
    let text = r#"
        listeners.http.address = "127.0.0.1:0"
        upstreams.php = { endpoints = ["10.0.0.1:9000"], protocol = "fastcgi", fastcgi = { root = "/srv/www", path_info = true } }
        routes.all.upstream = "php"
    "#;
    std::fs::write(&config, text).unwrap();
    let explain = |url: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        let output = command.args(["explain", "-c"]).arg(&config).arg(url).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        // However wide the columns are.
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text = explain("http://a/x/y.php/in/fo?q=1");
    for line in [
        "sends GET /x/y.php/in/fo?q=1 over FastCGI",
        "SCRIPT_FILENAME /srv/www/x/y.php",
        "SCRIPT_NAME /x/y.php",
        "PATH_INFO /in/fo",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(explain("http://a/x/").contains("SCRIPT_FILENAME /srv/www/x/index.php"));
    assert!(explain("http://a/x").contains("404: no part of the path ends in .php"));
}
