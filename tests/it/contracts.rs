//! What is promised on paper is what the code does: schema, variables, codes, rooms.
