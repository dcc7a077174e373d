//! JSON patch, merge patch, strategic merge patch and the record of which manager owns which field.
