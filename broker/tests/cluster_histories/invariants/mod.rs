//! What must hold whatever happens, one file for each. Most of it is checked the moment a client is answered; the rest
//! when all is well again.

pub mod alone;
pub mod applied;
pub mod bounded;
pub mod delivered;
pub mod leaders;
pub mod locks;
pub mod offsets;
pub mod order;
pub mod places;
pub mod register;
pub mod replicas;
pub mod routes;
pub mod sent;
pub mod settings;
pub mod times;
