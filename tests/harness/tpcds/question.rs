//! One question, put so that every engine understands the same.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, ExactNumberInfo, Expr, Ident, ObjectName, ObjectNamePart,
    OrderBy, OrderByExpr, OrderByKind, OrderByOptions, Query, SelectItem, SetExpr, Statement,
    Value, VisitMut, VisitorMut, WindowType,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::layout::Layout;

/// The queries that compute with quotients of decimals: 58 and 61 multiply them, 66 adds
/// them up.
const QUOTIENTS: [u32; 3] = [58, 61, 66];

/// A query of TPC-DS.
///
/// Its text is DuckDB's, but for what two engines would understand differently:
///
/// - Where an `ORDER BY` does not say where NULLs go, they go last, as in DuckDB. DataFusion puts
///   them first under `DESC`.
/// - A quotient of decimals has six digits in DataFusion and is a DOUBLE in DuckDB. Where a query goes
///   on to compute with it, the dividend is cast to DOUBLE.
/// - Where rows are ordered, what is left open is decided by all columns from the left to the right,
///   so that a `LIMIT` never cuts between rows that are equal to one engine and not to another.
#[derive(Debug, Clone)]
pub struct Question {
    number: u32,
    query: Statement,
}

impl Question {
    /// The query of this number, from its text.
    pub fn new(number: u32, text: &str) -> Self {
        let mut statements = Parser::parse_sql(&GenericDialect {}, text)
            .unwrap_or_else(|error| panic!("q{number:02}: {error}"));
        assert_eq!(statements.len(), 1, "q{number:02}");
        let mut query = statements.remove(0);
        let _ = VisitMut::visit(&mut query, &mut NullsLast);
        if QUOTIENTS.contains(&number) {
            let _ = VisitMut::visit(&mut query, &mut DivideDoubles);
        }
        Self { number, query }
    }

    /// `q01` to `q99`.
    pub fn name(&self) -> String {
        format!("q{:02}", self.number)
    }

    /// Whether the query says in which order its rows come.
    pub fn is_ordered(&self) -> bool {
        self.as_query().order_by.is_some()
    }

    /// The text with the short names of the tables.
    pub fn text(&self) -> String {
        self.query.to_string()
    }

    /// The text with the tables where `layout` has them.
    pub fn text_in(&self, layout: &Layout) -> String {
        let mut query = self.query.clone();
        let _ = VisitMut::visit(&mut query, &mut Qualify(layout));
        query.to_string()
    }

    /// Decides the order among rows that the query leaves open by all of its `columns`, except for
    /// those that it names itself.
    pub fn order_by_all(&mut self, columns: usize) {
        let Statement::Query(query) = &mut self.query else {
            return;
        };
        let selected = selected(&query.body);
        let Some(OrderBy {
            kind: OrderByKind::Expressions(order),
            ..
        }) = &mut query.order_by
        else {
            return;
        };
        let named = |column: usize| {
            let own = selected.get(column - 1);
            own.is_some_and(|own| order.iter().any(|known| known.expr == *own))
        };
        let open: Vec<usize> = (1..=columns).filter(|column| !named(*column)).collect();
        order.extend(open.into_iter().map(|column| OrderByExpr {
            expr: Expr::value(Value::Number(column.to_string(), false)),
            options: OrderByOptions {
                asc: None,
                nulls_first: Some(false),
            },
            with_fill: None,
        }));
    }

    fn as_query(&self) -> &Query {
        match &self.query {
            Statement::Query(query) => query,
            other => panic!("{other} is no query"),
        }
    }
}

/// The selected expressions, if they are all written out.
fn selected(body: &SetExpr) -> Vec<Expr> {
    let SetExpr::Select(select) = body else {
        return Vec::new();
    };
    let exprs = select.projection.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            Some(expr.clone())
        }
        _ => None,
    });
    exprs.collect::<Option<_>>().unwrap_or_default()
}

struct NullsLast;

impl VisitorMut for NullsLast {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(OrderBy {
            kind: OrderByKind::Expressions(order),
            ..
        }) = &mut query.order_by
        {
            nulls_last(order);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(window)) = &mut function.over
        {
            nulls_last(&mut window.order_by);
        }
        ControlFlow::Continue(())
    }
}

fn nulls_last(order: &mut [OrderByExpr]) {
    for expr in order {
        expr.options.nulls_first.get_or_insert(false);
    }
}

struct DivideDoubles;

impl VisitorMut for DivideDoubles {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::BinaryOp {
            left,
            op: BinaryOperator::Divide,
            ..
        } = expr
        {
            let dividend = std::mem::replace(left.as_mut(), Expr::value(Value::Null));
            **left = Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Expr::Nested(Box::new(dividend))),
                data_type: DataType::Double(ExactNumberInfo::None),
                array: false,
                format: None,
            };
        }
        ControlFlow::Continue(())
    }
}

struct Qualify<'a>(&'a Layout);

impl VisitorMut for Qualify<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if let [ObjectNamePart::Identifier(table)] = relation.0.as_slice()
            && let Some((domain, product)) = self.0.place(&table.value)
        {
            let table = table.clone();
            *relation = ObjectName::from(vec![Ident::new(domain), Ident::new(product), table]);
        }
        ControlFlow::Continue(())
    }
}
