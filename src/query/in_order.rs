//! Reads the partitions of a plan one after another, so that equal inputs produce equal rows in
//! equal order.
//!
//! If a plan has several partitions, as below `UNION ALL`, DataFusion's `CoalescePartitionsExec`
//! runs them concurrently and takes their batches in the order of arrival. [`in_order`] replaces
//! it. The engine runs every query through it: results are cached by the hash of their inputs.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};
use std::fmt;
use std::sync::Arc;

/// Returns a plan with one partition that reads all partitions in their order.
pub(super) fn in_order(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|plan| {
        let Some(merge) = plan.downcast_ref::<CoalescePartitionsExec>() else {
            return Ok(Transformed::no(plan));
        };
        let ordered: Arc<dyn ExecutionPlan> = Arc::new(InOrder::new(merge.input().clone()));
        Ok(Transformed::yes(match merge.fetch() {
            Some(rows) => Arc::new(GlobalLimitExec::new(ordered, 0, Some(rows))),
            None => ordered,
        }))
    })?;
    let plan = plan.data;
    match plan.output_partitioning().partition_count() {
        0 | 1 => Ok(plan),
        _ => Ok(Arc::new(InOrder::new(plan))),
    }
}

/// Reads the partitions of its input one after another.
#[derive(Debug)]
struct InOrder {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl InOrder {
    fn new(input: Arc<dyn ExecutionPlan>) -> InOrder {
        let merge = CoalescePartitionsExec::new(input.clone());
        InOrder {
            input,
            properties: merge.properties().clone(),
        }
    }
}

impl DisplayAs for InOrder {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InOrder")
    }
}

impl ExecutionPlan for InOrder {
    fn name(&self) -> &str {
        "InOrder"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.as_slice() {
            [input] => Ok(Arc::new(InOrder::new(input.clone()))),
            _ => Err(DataFusionError::Internal("InOrder has one input".into())),
        }
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.clone();
        let partitions = 0..input.output_partitioning().partition_count();
        let batches = futures::stream::iter(partitions)
            .map(move |partition| input.execute(partition, context.clone()))
            .try_flatten();
        let schema = self.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}
