//! Inlines the template files that a document names.

use super::ResourceError;
use super::document::readable;
use serde_yaml::Value;

/// Replaces each `template_file` of a document, relative to the current directory, by its text as
/// `template`. Returns a document without any unchanged.
pub fn inline_templates(text: &str) -> Result<String, ResourceError> {
    let read = || Ok(serde_yaml::from_str::<Value>(text)?);
    let mut document = readable(read).map_err(ResourceError::new)?;
    let mut any = false;
    let spec = document.get_mut("spec");
    inline(spec, &mut any)?;
    match any {
        true => serde_yaml::to_string(&document).map_err(ResourceError::new),
        false => Ok(text.to_owned()),
    }
}

fn inline(value: Option<&mut Value>, any: &mut bool) -> Result<(), ResourceError> {
    match value {
        Some(Value::Mapping(map)) => {
            let file = map.remove("template_file");
            if let Some(path) = file.as_ref().and_then(Value::as_str) {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    ResourceError::new(format!("template_file: {path}: {error}"))
                })?;
                map.insert("template".into(), text.into());
                *any = true;
            }
            map.iter_mut()
                .try_for_each(|(_, value)| inline(Some(value), any))
        }
        Some(Value::Sequence(list)) => list
            .iter_mut()
            .try_for_each(|value| inline(Some(value), any)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_part_of_the_document() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("page.tmpl");
        std::fs::write(&file, "# {{ args[0] }}\n").unwrap();
        let text = format!(
            "kind: Template\nspec:\n  collections:\n  - template_file: {}\n",
            file.display()
        );
        let inlined: Value = serde_yaml::from_str(&inline_templates(&text).unwrap()).unwrap();
        let collection = &inlined["spec"]["collections"][0];
        assert_eq!(collection["template"].as_str(), Some("# {{ args[0] }}\n"));
        assert_eq!(collection.get("template_file"), None);
        assert_eq!(inline_templates("spec: 1 # x\n").unwrap(), "spec: 1 # x\n");
    }
}
