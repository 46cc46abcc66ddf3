"""Natural text: documents, readers, the embedded texts, splitting into train and held-out."""
