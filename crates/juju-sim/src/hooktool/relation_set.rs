//! relation-set: what it writes counts once the hook has exited 0.

use super::{Arguments, Context, Failure, Reply, keyvalues, relation};

pub(super) fn set(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    let id = arguments.relation(context)?;
    let pairs = keyvalues::pairs(&arguments.parsed.positional)?;
    // Arguments win over the file.
    let mut settings = keyvalues::file(context, arguments)?;
    settings.extend(pairs);
    relation::on_controller(context, id)?;
    let owner = if arguments.parsed.is_set("app") {
        if !context.leader {
            return Err(Failure::Run("cannot write relation settings".to_owned()));
        }
        context.application().to_owned()
    } else {
        context.unit.clone()
    };
    if !settings.is_empty() {
        context
            .pending
            .relations
            .entry((id, owner))
            .or_default()
            .extend(settings);
    }
    Ok(Reply::Nothing)
}
