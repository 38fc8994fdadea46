//! `terraform validate` of the module and of the plan in its README, with the schema of the real Juju provider.
//!
//! Neither `OpenTofu` nor Terraform nor the provider is in a package registry of libraries, so where one of them is missing the test counts
//! as ignored. A provider on disk is found by the `provider_installation` of `TF_CLI_CONFIG_FILE`, as by every other plan.
//! `tests/it/pure/terraform.rs` checks the module without either.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Trial};

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/terraform");

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("terraform-{}", std::process::id()));
    let plan = initialized(&folder);
    if let Err(why) = &plan {
        eprintln!("the Terraform module is not validated: {why}");
    }
    let is_ignored = plan.is_err();
    let trial = Trial::test("module_and_plan_of_readme_are_valid", move || {
        let (program, plan) = plan?;
        let (valid, printed) = run(program, &plan, &["validate", "-no-color"]);
        if valid { Ok(()) } else { Err(printed.into()) }
    });
    let conclusion = libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(is_ignored)]);
    let _ = fs::remove_dir_all(folder);
    conclusion.exit_code()
}

/// The program, and the plan of the README with the module and the provider; or what is missing for that.
fn initialized(folder: &Path) -> Result<(&'static str, PathBuf), String> {
    let exists = |program: &&str| run(program, Path::new("."), &["version"]).0;
    let program = ["tofu", "terraform"].into_iter().find(exists);
    let program = program.ok_or("neither tofu nor terraform is on PATH")?;
    let module = folder.join("terraform");
    fs::create_dir_all(&module).unwrap();
    for file in fs::read_dir(MODULE).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), module.join(file.file_name())).unwrap();
    }
    fs::write(folder.join("main.tf"), plan()).unwrap();
    fs::write(folder.join("models.yaml"), "{}").unwrap();
    match run(
        program,
        folder,
        &["init", "-no-color", "-input=false", "-backend=false"],
    ) {
        (true, _) => Ok((program, folder.to_owned())),
        // Any other fault of the module is one of the test.
        (false, printed) if printed.contains("provider packages") => {
            Err(format!("{program} finds no provider juju/juju"))
        }
        (false, printed) => panic!("{program} init: {printed}"),
    }
}

/// The plan that the README shows, with the Juju model that it refers to.
fn plan() -> String {
    let readme = fs::read_to_string(Path::new(MODULE).join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```hcl\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let provider = "terraform {\n  required_providers {\n    juju = { source = \"juju/juju\" }\n  }\n}\n";
    let model = "resource \"juju_model\" \"edge\" {\n  name = \"edge\"\n}\n";
    [provider, model, shown].concat()
}

/// Whether the program succeeds, and what it prints.
fn run(program: &str, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    match command.output() {
        Ok(output) => {
            let printed = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
        }
        Err(error) => (false, error.to_string()),
    }
}
