//! What the server says about itself: `GetSqlInfo`.

use std::collections::BTreeMap;

use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedTransaction,
};
use weft_governance::{Error, ErrorKind, code};

/// The version of Arrow's columnar format that the server writes.
const ARROW_FORMAT: &str = "1.5";
/// No limit, where a number is asked for.
const NO_LIMIT: i64 = 0;

/// The answers to `GetSqlInfo`.
///
/// # Errors
/// `Internal` if they cannot be encoded.
pub(super) fn about() -> Result<SqlInfoData, Error> {
    let mut builder = SqlInfoDataBuilder::new();
    server(&mut builder);
    names(&mut builder);
    language(&mut builder);
    sizes(&mut builder);
    results(&mut builder);
    builder.build().map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "server information cannot be encoded",
        )
        .caused_by(error)
    })
}

fn server(builder: &mut SqlInfoDataBuilder) {
    builder.append(SqlInfo::FlightSqlServerName, "Weft");
    builder.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    builder.append(SqlInfo::FlightSqlServerArrowVersion, ARROW_FORMAT);
    builder.append(SqlInfo::FlightSqlServerReadOnly, true);
    builder.append(SqlInfo::FlightSqlServerSql, true);
    builder.append(SqlInfo::FlightSqlServerSubstrait, false);
    builder.append(
        SqlInfo::FlightSqlServerTransaction,
        SqlSupportedTransaction::None as i32,
    );
    builder.append(SqlInfo::FlightSqlServerCancel, true);
    builder.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    builder.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    builder.append(SqlInfo::FlightSqlServerStatementTimeout, 0_i32);
    builder.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
}

fn names(builder: &mut SqlInfoDataBuilder) {
    use SqlSupportedCaseSensitivity::{
        SqlCaseSensitivityCaseInsensitive, SqlCaseSensitivityLowercase,
    };
    builder.append(SqlInfo::SqlDdlCatalog, false);
    builder.append(SqlInfo::SqlDdlSchema, false);
    builder.append(SqlInfo::SqlDdlTable, false);
    builder.append(
        SqlInfo::SqlIdentifierCase,
        SqlCaseSensitivityLowercase as i32,
    );
    builder.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    builder.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlCaseSensitivityCaseInsensitive as i32,
    );
    // Tables that may be known of but not read are listed too.
    builder.append(SqlInfo::SqlAllTablesAreSelectable, false);
    builder.append(SqlInfo::SqlSearchStringEscape, "\\");
    builder.append(SqlInfo::SqlExtraNameCharacters, "");
    builder.append(SqlInfo::SqlSchemaTerm, "product");
    builder.append(SqlInfo::SqlProcedureTerm, "procedure");
    builder.append(SqlInfo::SqlCatalogTerm, "domain");
    builder.append(SqlInfo::SqlCatalogAtStart, true);
    builder.append(SqlInfo::SqlSchemasSupportedActions, 0_i32);
    builder.append(SqlInfo::SqlCatalogsSupportedActions, 0_i32);
}

fn language(builder: &mut SqlInfoDataBuilder) {
    builder.append(
        SqlInfo::SqlNullOrdering,
        SqlNullOrdering::SqlNullsSortedHigh as i32,
    );
    builder.append(
        SqlInfo::SqlKeywords,
        &["ILIKE", "QUALIFY", "SEMI", "ANTI", "USE", "REQUEST"][..],
    );
    builder.append(
        SqlInfo::SqlNumericFunctions,
        &[
            "ABS", "CEIL", "EXP", "FLOOR", "LN", "LOG10", "MOD", "POWER", "ROUND", "SIGN", "SQRT",
            "TRUNC",
        ][..],
    );
    builder.append(
        SqlInfo::SqlStringFunctions,
        &[
            "CHAR_LENGTH",
            "CONCAT",
            "LOWER",
            "LTRIM",
            "REPLACE",
            "RTRIM",
            "SUBSTR",
            "TRIM",
            "UPPER",
        ][..],
    );
    builder.append(SqlInfo::SqlSystemFunctions, &["COALESCE", "NULLIF"][..]);
    builder.append(
        SqlInfo::SqlDatetimeFunctions,
        &["CURRENT_DATE", "DATE_PART", "DATE_TRUNC", "EXTRACT", "NOW"][..],
    );
    builder.append(
        SqlInfo::SqlSupportsConvert,
        BTreeMap::<i32, Vec<i32>>::new(),
    );
    for yes in [
        SqlInfo::SqlSupportsColumnAliasing,
        SqlInfo::SqlNullPlusNullIsNull,
        SqlInfo::SqlSupportsTableCorrelationNames,
        SqlInfo::SqlSupportsExpressionsInOrderBy,
        SqlInfo::SqlSupportsOrderByUnrelated,
        SqlInfo::SqlSupportsLikeEscapeClause,
        SqlInfo::SqlSupportsNonNullableColumns,
        SqlInfo::SqlCorrelatedSubqueriesSupported,
    ] {
        builder.append(yes, true);
    }
    for no in [
        SqlInfo::SqlSupportsDifferentTableCorrelationNames,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
    ] {
        builder.append(no, false);
    }
    // Bit masks: everything up to the last bit that the specification names.
    builder.append(SqlInfo::SqlSupportedGroupBy, 0b11_i32);
    builder.append(SqlInfo::SqlSupportedGrammar, 0b11_i32);
    builder.append(SqlInfo::SqlAnsi92SupportedLevel, 0b1_i32);
    builder.append(SqlInfo::SqlSupportedPositionedCommands, 0_i32);
    builder.append(SqlInfo::SqlSupportedSubqueries, 0b111_i32);
    builder.append(SqlInfo::SqlSupportedUnions, 0b11_i32);
    let joins = SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32;
    builder.append(SqlInfo::SqlOuterJoinsSupportLevel, joins);
}

fn sizes(builder: &mut SqlInfoDataBuilder) {
    for size in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxConnections,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxStatementLength,
        SqlInfo::SqlMaxStatements,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        builder.append(size, NO_LIMIT);
    }
    builder.append(SqlInfo::SqlMaxRowSizeIncludesBlobs, true);
}

fn results(builder: &mut SqlInfoDataBuilder) {
    // Isolation level "none", the only one there is, and result sets that are read once, forward.
    builder.append(SqlInfo::SqlDefaultTransactionIsolation, 0_i64);
    builder.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, 0b1_i32);
    builder.append(SqlInfo::SqlSupportedResultSetTypes, 0b10_i32);
    builder.append(
        SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified,
        0_i32,
    );
    builder.append(
        SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly,
        0b10_i32,
    );
    builder.append(
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive,
        0_i32,
    );
    builder.append(
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
        0_i32,
    );
    for no in [
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        builder.append(no, false);
    }
}
