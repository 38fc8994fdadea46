//! The pages of the documentation that need models that answer, each on a full site of its own.

use crate::console::{Reader, blocks, page};
use crate::fixture::folder;

/// Names that differ in the documentation: the blog's two images, which come from a registry.
const IMAGES: [(&str, &str); 2] = [
    ("seldonio/sklearn-iris:0.3", kube_box::images::IRIS_1),
    ("seldonio/sklearn-iris:0.4", kube_box::images::IRIS_2),
];
/// Where the documentation reaches the gateway.
const GATEWAY: &str = "10.0.0.7:31380";

pub fn tutorial_works_as_written() {
    let mut reader = Reader::new(folder("tutorial"), &IMAGES);
    let (is_up, said) = reader.run("juju up --full");
    let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        assert!(is_up, "{said}");
        let gateway = reader.gateway();
        reader.substitutions.push((GATEWAY.to_owned(), gateway));
        for block in blocks(&page("docs/tutorial.md")) {
            if block.kind == "console" {
                for step in block.steps() {
                    reader.check("docs/tutorial.md", &step);
                }
            }
        }
    }));
    reader.shut_down();
    if let Err(error) = walked {
        std::panic::resume_unwind(error);
    }
}
