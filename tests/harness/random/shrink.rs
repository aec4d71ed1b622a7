//! Simpler queries than one, to find the smallest that still shows a difference.

use super::query::{Body, Distinct, Expr, From, Group, Kind, On, Query, Select};

impl Query {
    /// Queries that leave something out, those that leave out the most first. Some of them may not
    /// make sense any more.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        simpler.extend(self.inner());
        for body in self.body.sides() {
            simpler.push(self.with(body));
        }
        for at in 0..self.shared.len() {
            let mut without = self.clone();
            without.shared.remove(at);
            simpler.push(without);
        }
        if !self.order.is_empty() {
            let mut without = self.clone();
            without.order.clear();
            without.limit = None;
            without.body.forget_distinct_on();
            simpler.push(without);
        }
        if self.limit.is_some() {
            let mut without = self.clone();
            without.limit = None;
            simpler.push(without);
        }
        let width = self.body.width();
        for at in (0..width).rev().filter(|_| width > 1) {
            let mut without = self.clone();
            without.body.drop_column(at);
            if !without.order.is_empty() {
                without.order.remove(at);
            }
            simpler.push(without);
        }
        for (at, (_, query)) in self.shared.iter().enumerate() {
            for query in query.simpler() {
                let mut with = self.clone();
                with.shared[at].1 = query;
                simpler.push(with);
            }
        }
        for body in self.body.simpler() {
            simpler.push(self.with(body));
        }
        simpler
    }

    fn with(&self, body: Body) -> Self {
        Self {
            body,
            ..self.clone()
        }
    }

    /// The queries inside this one, in its place.
    fn inner(&self) -> Vec<Self> {
        let mut inner: Vec<Self> = self.shared.iter().map(|(_, query)| query.clone()).collect();
        if let Body::Select(select) = &self.body {
            select.from.derived(&mut inner);
            for expr in select
                .filter
                .iter()
                .chain(select.items.iter().map(|it| &it.0))
            {
                expr.subqueries(&mut inner);
            }
        }
        for query in &mut inner {
            let own = std::mem::take(&mut query.shared);
            query.shared = self.shared.clone();
            query.shared.extend(own);
        }
        inner
    }
}

impl Body {
    fn sides(&self) -> Vec<Self> {
        match self {
            Self::Select(_) => Vec::new(),
            Self::Set { left, right, .. } => vec![left.as_ref().clone(), right.as_ref().clone()],
        }
    }

    /// Of rows that are the same in some columns, no order says which is the first.
    fn forget_distinct_on(&mut self) {
        if let Self::Select(select) = self
            && let Distinct::On(_) = select.distinct
        {
            select.distinct = Distinct::Nothing;
        }
    }

    fn drop_column(&mut self, at: usize) {
        match self {
            Self::Select(select) => {
                select.items.remove(at);
                select.distinct = match select.distinct {
                    Distinct::On(1) if at == 0 => Distinct::Nothing,
                    Distinct::On(columns) if at < columns => Distinct::On(columns - 1),
                    distinct => distinct,
                };
            }
            Self::Set { left, right, .. } => {
                left.drop_column(at);
                right.drop_column(at);
            }
        }
    }

    fn simpler(&self) -> Vec<Self> {
        match self {
            Self::Select(select) => {
                let simpler = select.simpler().into_iter();
                simpler.map(|it| Self::Select(Box::new(it))).collect()
            }
            Self::Set {
                operator,
                left,
                right,
            } => {
                let set = |left: Self, right: Self| Self::Set {
                    operator,
                    left: Box::new(left),
                    right: Box::new(right),
                };
                let mut simpler = Vec::new();
                for side in left.sides().into_iter().chain(left.simpler()) {
                    simpler.push(set(side, right.as_ref().clone()));
                }
                for side in right.sides().into_iter().chain(right.simpler()) {
                    simpler.push(set(left.as_ref().clone(), side));
                }
                simpler
            }
        }
    }
}

impl Select {
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        for (from, lost) in self.from.simpler() {
            let mut with = Self {
                from,
                ..self.clone()
            };
            with.forget(&lost);
            simpler.push(with);
        }
        let parts: [fn(&mut Self) -> &mut Option<Expr>; 2] =
            [|it| &mut it.filter, |it| &mut it.having];
        for part in parts {
            let mut with = self.clone();
            if let Some(condition) = part(&mut with).take() {
                simpler.push(with.clone());
                for condition in condition.simpler() {
                    *part(&mut with) = Some(condition);
                    simpler.push(with.clone());
                }
            }
        }
        for group in self.group.simpler() {
            simpler.push(Self {
                group,
                ..self.clone()
            });
        }
        if self.distinct != Distinct::Nothing {
            simpler.push(Self {
                distinct: Distinct::Nothing,
                ..self.clone()
            });
        }
        for (at, (item, _)) in self.items.iter().enumerate() {
            for item in item.simpler() {
                let mut with = self.clone();
                with.items[at].0 = item;
                simpler.push(with);
            }
        }
        simpler
    }

    /// Puts NULL where columns of `lost` were.
    fn forget(&mut self, lost: &[String]) {
        if lost.is_empty() {
            return;
        }
        for expr in self.expressions() {
            expr.forget(lost);
        }
        self.from.forget(lost);
    }

    fn expressions(&mut self) -> Vec<&mut Expr> {
        let mut all: Vec<&mut Expr> = self.items.iter_mut().map(|(item, _)| item).collect();
        all.extend(&mut self.filter);
        all.extend(&mut self.having);
        match &mut self.group {
            Group::Nothing => {}
            Group::By(by) | Group::Ladder(_, by) => all.extend(by),
            Group::Sets(sets) => all.extend(sets.iter_mut().flatten()),
        }
        all
    }
}

impl Group {
    fn simpler(&self) -> Vec<Self> {
        let fewer =
            |by: &[Expr]| -> Vec<Vec<Expr>> { (0..by.len()).map(|at| without(by, at)).collect() };
        match self {
            Self::Nothing => Vec::new(),
            Self::By(by) => {
                let fewer = fewer(by).into_iter();
                fewer
                    .map(|by| {
                        if by.is_empty() {
                            Self::Nothing
                        } else {
                            Self::By(by)
                        }
                    })
                    .collect()
            }
            Self::Ladder(ladder, by) => {
                let smaller = fewer(by).into_iter().filter(|by| !by.is_empty());
                let smaller = smaller.map(|by| Self::Ladder(ladder, by));
                [Self::By(by.clone())].into_iter().chain(smaller).collect()
            }
            Self::Sets(sets) => {
                let last = sets.last().cloned().unwrap_or_default();
                let smaller = (0..sets.len()).map(|at| without(sets, at));
                let smaller = smaller.filter(|sets| !sets.is_empty()).map(Self::Sets);
                [Self::By(last)].into_iter().chain(smaller).collect()
            }
        }
    }
}

fn without<T: Clone>(items: &[T], at: usize) -> Vec<T> {
    let mut items = items.to_vec();
    items.remove(at);
    items
}

impl From {
    /// Simpler ones, and the names that each of them lost.
    fn simpler(&self) -> Vec<(Self, Vec<String>)> {
        let mut simpler = Vec::new();
        match self {
            Self::Named { .. } => {}
            Self::Derived { query, alias } => {
                for query in query.simpler() {
                    let query = Box::new(query);
                    let alias = alias.clone();
                    simpler.push((Self::Derived { query, alias }, Vec::new()));
                }
            }
            Self::Lateral { query, alias } => {
                for query in query.simpler() {
                    let query = Box::new(query);
                    let alias = alias.clone();
                    simpler.push((Self::Lateral { query, alias }, Vec::new()));
                }
            }
            Self::Unnest {
                members,
                column,
                alias,
            } => {
                for at in (0..members.len()).filter(|_| members.len() > 1) {
                    let fewer = Self::Unnest {
                        members: without(members, at),
                        column: column.clone(),
                        alias: alias.clone(),
                    };
                    simpler.push((fewer, Vec::new()));
                }
            }
            Self::Values {
                rows,
                columns,
                alias,
            } => {
                for at in (0..rows.len()).filter(|_| rows.len() > 1) {
                    let fewer = Self::Values {
                        rows: without(rows, at),
                        columns: columns.clone(),
                        alias: alias.clone(),
                    };
                    simpler.push((fewer, Vec::new()));
                }
            }
            Self::Join {
                join,
                left,
                right,
                on,
            } => {
                simpler.push((left.as_ref().clone(), right.aliases()));
                simpler.push((right.as_ref().clone(), left.aliases()));
                let with = |join: &'static str, left: &Self, right: &Self, on: &On| Self::Join {
                    join,
                    left: Box::new(left.clone()),
                    right: Box::new(right.clone()),
                    on: on.clone(),
                };
                for (side, lost) in left.simpler() {
                    let mut made = with(join, &side, right, on);
                    made.forget(&lost);
                    simpler.push((made, lost));
                }
                for (side, lost) in right.simpler() {
                    let mut made = with(join, left, &side, on);
                    made.forget(&lost);
                    simpler.push((made, lost));
                }
                if *join != "JOIN" && *on != On::Nothing {
                    simpler.push((with("JOIN", left, right, on), Vec::new()));
                }
                for on in on.simpler() {
                    simpler.push((with(join, left, right, &on), Vec::new()));
                }
            }
        }
        simpler
    }

    fn aliases(&self) -> Vec<String> {
        match self {
            Self::Named { alias, .. }
            | Self::Derived { alias, .. }
            | Self::Lateral { alias, .. }
            | Self::Unnest { alias, .. }
            | Self::Values { alias, .. } => {
                vec![alias.clone()]
            }
            Self::Join { left, right, .. } => [left.aliases(), right.aliases()].concat(),
        }
    }

    fn derived(&self, into: &mut Vec<Query>) {
        match self {
            Self::Named { .. } | Self::Unnest { .. } | Self::Values { .. } => {}
            Self::Derived { query, .. } | Self::Lateral { query, .. } => {
                into.push(query.as_ref().clone());
            }
            Self::Join { left, right, .. } => {
                left.derived(into);
                right.derived(into);
            }
        }
    }

    fn forget(&mut self, lost: &[String]) {
        match self {
            Self::Join {
                left, right, on, ..
            } => {
                left.forget(lost);
                right.forget(lost);
                if let On::Condition(condition) = on {
                    condition.forget(lost);
                }
            }
            Self::Lateral { query, .. } => query.body.forget(lost),
            Self::Named { .. }
            | Self::Derived { .. }
            | Self::Unnest { .. }
            | Self::Values { .. } => {}
        }
    }
}

impl On {
    fn simpler(&self) -> Vec<Self> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Condition(condition) => {
                let simpler = condition.simpler().into_iter();
                simpler.map(Self::Condition).collect()
            }
            Self::Using(columns) if columns.len() > 1 => (0..columns.len())
                .map(|at| Self::Using(without(columns, at)))
                .collect(),
            Self::Using(_) => Vec::new(),
        }
    }
}

impl Expr {
    fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        match self {
            Self::Column { .. } | Self::Literal { .. } => {}
            Self::Form {
                form,
                operands,
                kind,
            } => {
                let same = operands.iter().filter(|operand| operand.kind() == *kind);
                simpler.extend(same.cloned());
                if let Some(whole) = form.strip_suffix(" FILTER (WHERE {})") {
                    let fewer = without(operands, operands.len() - 1);
                    simpler.push(Self::form(whole, fewer, *kind));
                }
                let aggregate = form.contains(" OVER ") || form.contains(" FILTER ");
                if *kind != Kind::Flag && !aggregate {
                    simpler.push(kind.null());
                }
                for (at, operand) in operands.iter().enumerate() {
                    for operand in operand.simpler() {
                        let mut operands = operands.clone();
                        operands[at] = operand;
                        simpler.push(Self::form(form, operands, *kind));
                    }
                }
            }
            Self::Subquery {
                form,
                operand,
                query,
                kind,
            } => {
                if *kind != Kind::Flag {
                    simpler.push(kind.null());
                }
                for query in query.simpler() {
                    simpler.push(Self::Subquery {
                        form: form.clone(),
                        operand: operand.clone(),
                        query: Box::new(query),
                        kind: *kind,
                    });
                }
            }
        }
        simpler
    }

    fn subqueries(&self, into: &mut Vec<Query>) {
        match self {
            Self::Column { .. } | Self::Literal { .. } => {}
            Self::Form { operands, .. } => {
                for operand in operands {
                    operand.subqueries(into);
                }
            }
            Self::Subquery { query, .. } => into.push(query.as_ref().clone()),
        }
    }

    fn forget(&mut self, lost: &[String]) {
        match self {
            Self::Column { relation, kind, .. } if lost.contains(relation) => *self = kind.null(),
            Self::Column { .. } | Self::Literal { .. } => {}
            Self::Form { operands, .. } => {
                for operand in operands {
                    operand.forget(lost);
                }
            }
            Self::Subquery { operand, query, .. } => {
                if let Some(operand) = operand {
                    operand.forget(lost);
                }
                query.body.forget(lost);
            }
        }
    }
}

impl Body {
    fn forget(&mut self, lost: &[String]) {
        match self {
            Self::Select(select) => select.forget(lost),
            Self::Set { left, right, .. } => {
                left.forget(lost);
                right.forget(lost);
            }
        }
    }
}
