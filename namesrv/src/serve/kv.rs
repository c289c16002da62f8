//! Keys and values, as the tools put them.

use remoting::ResponseCode;
use remoting::body::KvTable;
use remoting::header::DecodeExt;
use remoting::header::route::{KvKeyHeader, KvNamespaceHeader, KvReply, PutKvHeader};

use super::answer::{Answer, Failure};
use super::{Request, State};

impl State {
    /// 100.
    pub(super) fn put_kv(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = PutKvHeader::decode(request.code, &request.command.ext)?;
        self.kv.borrow_mut().put(header.namespace, header.key, header.value)?;
        tracing::info!(
            namespace = header.namespace,
            key = header.key,
            "value stored, until this NameServer stops"
        );
        Ok(Answer::ok())
    }

    /// 101.
    pub(super) fn read_kv(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let KvKeyHeader { namespace, key } =
            KvKeyHeader::decode(request.code, &request.command.ext)?;
        let kv = self.kv.borrow();
        match kv.get(namespace, key) {
            Some(value) => Ok(Answer::ok().with_ext(&KvReply { value: Some(value) })),
            None => {
                let remark = format!("No config item, Namespace: {namespace} Key: {key}");
                Err(Failure::new(ResponseCode::QueryNotFound, remark))
            }
        }
    }

    /// 102.
    pub(super) fn delete_kv(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let header = KvKeyHeader::decode(request.code, &request.command.ext)?;
        self.kv.borrow_mut().delete(header.namespace, header.key);
        Ok(Answer::ok())
    }

    /// 219.
    pub(super) fn list_kv(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        let KvNamespaceHeader { namespace } =
            KvNamespaceHeader::decode(request.code, &request.command.ext)?;
        match self.kv.borrow().space(namespace) {
            Some(table) => Ok(Answer::ok().with_body(&KvTable { table: table.clone() })),
            None => {
                let remark = format!("No config item, Namespace: {namespace}");
                Err(Failure::new(ResponseCode::QueryNotFound, remark))
            }
        }
    }
}
