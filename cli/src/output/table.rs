//! Aligned columns for people.

use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Printer;
use super::cell::Column;

/// Rows that share one set of column widths.
const BLOCK: usize = 1_000;
/// On a terminal no cell is cut to less than this.
const NARROWEST: usize = 12;

/// A header, a rule, and a line for each row.
pub(super) struct Table<'a> {
    schema: SchemaRef,
    out: Box<dyn Write + 'a>,
    terminal: Option<usize>,
    rows: Vec<Vec<Option<String>>>,
    printed: bool,
}

impl<'a> Table<'a> {
    /// A table that fits into `terminal` columns, if there is a terminal.
    pub(super) fn new(
        schema: SchemaRef,
        out: Box<dyn Write + 'a>,
        terminal: Option<usize>,
    ) -> Self {
        Self {
            schema,
            out,
            terminal,
            rows: Vec::new(),
            printed: false,
        }
    }

    fn print(&mut self) -> io::Result<()> {
        if self.schema.fields().is_empty() || (self.printed && self.rows.is_empty()) {
            return Ok(());
        }
        self.printed = true;
        let rows = std::mem::take(&mut self.rows);
        let names: Vec<String> = self
            .schema
            .fields()
            .iter()
            .map(|f| escape(f.name()))
            .collect();
        let mut widths: Vec<usize> = names.iter().map(|name| name.width()).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(shown(cell).width());
            }
        }
        if let Some(terminal) = self.terminal {
            fit(&mut widths, terminal);
        }
        let right: Vec<bool> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.data_type().is_numeric())
            .collect();
        self.line(names.iter().map(String::as_str), &widths, &right)?;
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        writeln!(self.out, "{}", rule.join("-+-"))?;
        for row in &rows {
            self.line(row.iter().map(shown), &widths, &right)?;
        }
        Ok(())
    }

    fn line<'t>(
        &mut self,
        cells: impl Iterator<Item = &'t str>,
        widths: &[usize],
        right: &[bool],
    ) -> io::Result<()> {
        let padded: Vec<String> = cells
            .zip(widths.iter().zip(right))
            .map(|(cell, (width, right))| pad(cell, *width, *right))
            .collect();
        writeln!(self.out, "{}", padded.join(" | ").trim_end())
    }
}

impl Printer for Table<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = batch
            .columns()
            .iter()
            .map(Column::new)
            .collect::<io::Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .map(|column| column.value(row).map(|text| escape(&text)));
            self.rows.push(cells.collect());
            if self.rows.len() == BLOCK {
                self.print()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.print()?;
        self.out.flush()
    }
}

fn shown(cell: &Option<String>) -> &str {
    cell.as_deref().unwrap_or("NULL")
}

/// Control characters would break the line, or drive the terminal.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped: Vec<char> = if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            };
            escaped
        })
        .collect()
}

/// Narrows the widest columns until all fit, or none can be narrowed further.
fn fit(widths: &mut [usize], terminal: usize) {
    let gaps = 3 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > terminal {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => return,
        }
    }
}

fn pad(cell: &str, width: usize, right: bool) -> String {
    let cell = cut(cell, width);
    let fill = " ".repeat(width.saturating_sub(cell.width()));
    if right { fill + &cell } else { cell + &fill }
}

fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let mut kept = String::new();
    for c in cell.chars() {
        let needs = c.width().unwrap_or(0);
        if needs > room {
            break;
        }
        room -= needs;
        kept.push(c);
    }
    kept.push('…');
    kept
}
