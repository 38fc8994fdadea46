//! config-get and goal-state.

use super::value::Node;
use super::{Arguments, Context, Failure, Reply};

pub(super) fn get(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(1)?;
    let all = arguments.parsed.is_set("all");
    let key = arguments.parsed.at(0).filter(|key| !key.is_empty());
    let value = match key {
        Some(key) if all => {
            return Err(Failure::Usage(format!(
                "cannot use argument --all together with key {key:?}"
            )));
        }
        // An option the charm does not have is no error: the answer is nil.
        Some(key) => context.config.get(key).map(Node::from).unwrap_or_default(),
        None => Node::map(
            context
                .config
                .iter()
                .filter(|(_, value)| all || !value.is_null())
                .map(|(key, value)| (key, Node::from(value))),
        ),
    };
    Ok(Reply::Value(value))
}

pub(super) fn goal_state(context: &mut Context, arguments: &Arguments<'_>) -> Result<Reply, Failure> {
    arguments.at_most(0)?;
    Ok(Reply::Value(context.goal_state.clone()))
}
