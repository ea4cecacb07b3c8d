//! Subgraphs as a stream of Arrow IPC messages, in pieces.

use arrow_ipc::writer::StreamWriter;
use arrow_schema::ArrowError;

use super::Drawing;
use crate::{Error, Result};

/// The pieces of an Arrow IPC stream: the schema, then some subgraphs a piece, then its end. Together they are what
/// `pyarrow.ipc.open_stream` reads.
pub struct ArrowStream {
    drawing: Drawing,
    /// `None` once the stream has ended.
    writer: Option<StreamWriter<Vec<u8>>>,
}

impl ArrowStream {
    /// # Errors
    /// When Arrow has no form for the table's schema.
    pub fn new(drawing: Drawing) -> Result<Self> {
        let writer = StreamWriter::try_new(Vec::new(), drawing.table().schema()).map_err(refused)?;
        Ok(Self { drawing, writer: Some(writer) })
    }

    /// What is drawn, and how far.
    pub fn drawing(&self) -> &Drawing {
        &self.drawing
    }

    /// Draws the next subgraphs and writes them; `None` after the last piece.
    ///
    /// # Errors
    /// Those of [`Drawing::next_batch`].
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(writer) = &mut self.writer else { return Ok(None) };
        if let Some(batch) = self.drawing.next_batch(u64::MAX)? {
            writer.write(&batch).map_err(refused)?;
            return Ok(Some(std::mem::take(writer.get_mut())));
        }
        writer.finish().map_err(refused)?;
        let last = std::mem::take(writer.get_mut());
        self.writer = None;
        Ok(Some(last))
    }
}

fn refused(error: ArrowError) -> Error {
    let (setting, expected) = ("the stream of subgraphs".to_owned(), "what Arrow IPC can hold".to_owned());
    Error::Setting { setting, found: error.to_string(), expected }
}
