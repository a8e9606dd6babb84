/// What may be done to a volume's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeAccess {
    /// They may be read.
    ReadOnly,
    /// They may be written, too.
    ReadWrite,
}
