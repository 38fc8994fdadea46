//! resource-get, credential-get and juju-reboot: what a charm without a workload has little use for.

use super::{Arguments, Context, Failure, Reply};

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let Some(name) = arguments.parsed.at(0) else {
        return Err(Failure::Usage("missing required resource name".to_owned()));
    };
    arguments.at_most(1)?;
    let failed = |why: &str| Failure::Run(format!("could not download resource: {why}"));
    if let Some(why) = &context.resource_error {
        return Err(failed(why));
    }
    // The path, without a newline.
    let path = context.resources.get(name);
    path.cloned()
        .map(Reply::Raw)
        .ok_or_else(|| failed(&format!("resource {name:?} not found")))
}

pub(super) fn credential_get(_: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(0)?;
    // From 3.6.10 on it answers on Kubernetes too, with the controller's credential, which a charm has no business with.
    Err(Failure::Run(
        "cannot access cloud credentials: credential-get on a \"caas\" model not supported".to_owned(),
    ))
}

pub(super) fn reboot(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(0)?;
    if context.action.is_some() {
        return Err(Failure::Run(
            "juju-reboot is not supported when running an action.".to_owned(),
        ));
    }
    // A pod cannot reboot.
    Ok(Reply::Nothing)
}
