//! Writing HTML: whatever is not markup of ours is escaped.

use serde_json::Value;

/// A page being written.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of ours.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, in an element or an attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&escaped(text));
        self
    }

    /// JSON, indented; what is no JSON is shown as it is.
    pub(super) fn json(&mut self, text: &str) -> &mut Self {
        let indented = serde_json::from_str::<Value>(text).and_then(|value| serde_json::to_string_pretty(&value));
        self.raw("<pre>").text(indented.as_deref().unwrap_or(text)).raw("</pre>")
    }

    /// A link to a schema on the page.
    pub(super) fn schema_link(&mut self, name: &str) -> &mut Self {
        self.raw("<a href=\"#schema-").text(name).raw("\">").text(name).raw("</a>")
    }

    /// A row of a table, the first cell as code.
    pub(super) fn row(&mut self, cells: &[&str]) {
        self.raw("<tr>");
        for (index, cell) in cells.iter().enumerate() {
            let cell = if index == 0 { format!("<code>{}</code>", escaped(cell)) } else { code_spans(cell) };
            self.raw("<td>").raw(&cell).raw("</td>");
        }
        self.raw("</tr>");
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text with `code` between backticks.
pub(super) fn code_spans(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        let mut html = Html::default();
        html.text("<script>\"&").json("{\"a\": \"<b>\"}");
        let page = html.finish();
        assert!(page.starts_with("&lt;script&gt;&quot;&amp;<pre>{\n"), "{page}");
        assert!(page.contains("&lt;b&gt;"), "{page}");
        assert_eq!(code_spans("a `<b>` c"), "a <code>&lt;b&gt;</code> c");
    }
}
