//! The page: four files compiled into the program, nothing from another host.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

const INDEX: &str = include_str!("../../web/index.html");
const ASSETS: [(&str, &str, &str); 3] = [
    ("style.css", "text/css; charset=utf-8", include_str!("../../web/style.css")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("../../web/app.js")),
    ("api.js", "text/javascript; charset=utf-8", include_str!("../../web/api.js")),
];

/// `GET /`.
pub async fn page() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], INDEX).into_response()
}

/// `GET /{asset}`.
pub async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => ([(header::CONTENT_TYPE, *kind)], *text).into_response(),
        None => (StatusCode::NOT_FOUND, "there is no such page here\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never 9: the page loads nothing from another host and holds no inline script.
    #[test]
    fn the_page_names_no_other_host_and_no_inline_script() {
        let texts = ASSETS.iter().map(|(_, _, text)| *text).chain([INDEX]);
        for text in texts {
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("http://") && !outside.contains("https://"));
            assert!(!outside.contains("eval(") && !outside.contains("innerHTML"));
        }
        assert!(!INDEX.contains("<style") && !INDEX.contains("onclick="));
        assert_eq!(INDEX.matches("<script").count(), INDEX.matches("src=\"/app.js\"").count());
    }
}
